"""The training loop: an interrupted run resumes and gives the same result as an uninterrupted one."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import Tensor, nn

from pocket.settings import CHECKPOINT_FOLDER, RUNS, RunLength
from pocket.train.__main__ import main
from pocket.train.adoption import adopt
from pocket.train.flow import build_transformer
from pocket.train.loop import rate_share, train
from pocket.train.text import CaptionReader, load_pieces
from pocket.train.vae import build_vae

_LENGTH = RunLength(step_count=7, batch_size=4, muon_rate=0.02, adam_rate=1e-2)


def _module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 5))


def _train(module: nn.Module, folder: Path, *, fail_at: int | None = None) -> dict[str, Tensor]:
    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == fail_at:
            raise KeyboardInterrupt
        batch = torch.randn(_LENGTH.batch_size, 6)
        return (module(batch) - batch[:, :5]).square().mean(), {"size": float(batch.numel())}

    train("run", module, loss_of_step, _LENGTH, folder, save_every=2, note_every=3)
    return module.state_dict()


def test_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    undisturbed = _train(_module(), tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        _train(_module(), tmp_path / "b", fail_at=5)
    resumed = _train(_module(), tmp_path / "b")
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_finished_run_only_loads(tmp_path: Path) -> None:
    finished = {name: value.clone() for name, value in _train(_module(), tmp_path).items()}
    again = _train(_module(), tmp_path, fail_at=0)
    assert all(torch.equal(finished[name], again[name]) for name in finished)


def test_journal_tells_each_step_once_after_an_interruption(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _train(_module(), tmp_path, fail_at=6)
    _train(_module(), tmp_path)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert steps == [3, 6, 7]
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_adopted_checkpoint_is_finished_but_for_experts_and_decoder(tmp_path: Path) -> None:
    adopt(CHECKPOINT_FOLDER, tmp_path)
    stored = AutoencoderKLWan.from_pretrained(CHECKPOINT_FOLDER / "vae").float().state_dict()
    vae, reader = build_vae(), CaptionReader(load_pieces(tmp_path).get_vocab_size())

    def never(step: int) -> tuple[Tensor, dict[str, float]]:
        raise AssertionError(f"step {step} of a finished run")

    train("vae_whole", vae, never, RUNS["vae_whole"], tmp_path)
    train("text", reader, never, RUNS["text"], tmp_path)
    assert all(torch.equal(value, stored[name]) for name, value in vae.state_dict().items())
    for run, part in (("expert_high", "transformer"), ("expert_low", "transformer_2")):
        expert, expected = build_transformer(), WanTransformer3DModel.from_pretrained(CHECKPOINT_FOLDER / part).float()
        with pytest.raises(AssertionError, match="step 0 of a finished run"):
            train(run, expert, never, RUNS[run], tmp_path)
        assert all(torch.equal(value, expected.state_dict()[name]) for name, value in expert.state_dict().items())
    with pytest.raises(AssertionError, match="step 0 of a finished run"):
        train("vae_decoder", build_vae(), never, RUNS["vae_decoder"], tmp_path)
    with pytest.raises(FileExistsError, match="holds runs already"):
        adopt(CHECKPOINT_FOLDER, tmp_path)


def test_learning_rate_rises_then_falls() -> None:
    shares = [rate_share(step, 100) for step in range(101)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert all(a >= b for a, b in itertools.pairwise(shares[4:]))
    assert shares[-1] == pytest.approx(0.01)


def test_adopting_only_reads_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, folder = tmp_path / "checkpoint", tmp_path / "work"
    shutil.copytree(CHECKPOINT_FOLDER, checkpoint)
    times = {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*")}
    options = ["adopt", "--folder", str(folder), "--checkpoint", str(checkpoint)]
    monkeypatch.setattr(sys, "argv", ["pocket.train", *options])
    main()
    assert {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*")} == times
    assert (folder / "expert_low.pt").exists()
    assert not (folder / "latents").exists()
