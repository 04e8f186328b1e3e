"""Faults that the exporter refuses: exit status 1, one line with the remedy, and no bundle left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.bundle.folder import MANIFEST_NAME
from export.__main__ import main
from export.errors import ExportError
from export.weights.layouts.opening import open_checkpoint
from tests.checkpoints import TinyModel, _text_encoder, _text_tokenizer, _vae

_TRANSFORMER = ["diffusers", "WanTransformer3DModel"]
_A14B: dict[str, Any] = {
    "_class_name": "WanImageToVideoPipeline",
    "boundary_ratio": 0.9,
    "expand_timesteps": False,
    "transformer": _TRANSFORMER,
    "transformer_2": _TRANSFORMER,
}
_5B = {**_A14B, "boundary_ratio": None, "expand_timesteps": True, "transformer_2": [None, None]}
_SCHEDULER: dict[str, Any] = {
    "_class_name": "UniPCMultistepScheduler",
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "flow_shift": 5.0,
}


class Refusal:
    """Runs the exporter and holds what it said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.checkpoint, self.out = folder / "checkpoint", folder / "bundle"
        self._capsys = capsys

    def write(self, index: dict[str, Any] = _A14B, scheduler: dict[str, Any] = _SCHEDULER) -> None:
        """A checkpoint of configurations alone: enough for every rule that is checked before weights are read."""
        (self.checkpoint / "scheduler").mkdir(parents=True)
        (self.checkpoint / "model_index.json").write_text(json.dumps(index))
        (self.checkpoint / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))

    def said(self, *options: str, size: str = "64x48", frames: str = "9") -> str:
        """The one line of a refused export."""
        arguments = [str(self.checkpoint), "--out", str(self.out), "--size", size, "--frames", frames, *options]
        assert main(arguments) == 1
        # Libraries may talk too while they load; the exporter itself says one line.
        lines = self._capsys.readouterr().err.splitlines()
        own = [index for index, line in enumerate(lines) if line.startswith("export: ")]
        assert own == [len(lines) - 1], lines
        assert not (self.out / MANIFEST_NAME).exists()
        return lines[-1]


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(tmp_path, capsys)


def test_a_folder_that_is_not_there(refusal: Refusal) -> None:
    said = refusal.said()
    assert str(refusal.checkpoint / "model_index.json") in said
    assert "No such file or directory; give a checkpoint folder in the Diffusers layout" in said


def test_a_checkpoint_that_is_a_file(refusal: Refusal) -> None:
    refusal.checkpoint.write_bytes(b"weights")
    assert "Not a directory; give a checkpoint folder in the Diffusers layout" in refusal.said()


@pytest.mark.parametrize(
    ("content", "fault"), [("{", "is not JSON"), ("[]", "is not a JSON object"), ("\ufeff{}", "is not JSON")]
)
def test_an_index_that_is_no_json_object(refusal: Refusal, content: str, fault: str) -> None:
    refusal.checkpoint.mkdir()
    (refusal.checkpoint / "model_index.json").write_text(content, encoding="utf-8")
    assert f"model_index.json {fault}; give a checkpoint folder in the Diffusers layout" in refusal.said()


def test_a_checkpoint_of_another_model(refusal: Refusal) -> None:
    refusal.write(index={**_A14B, "_class_name": "FluxPipeline"})
    assert "names FluxPipeline, not WanImageToVideoPipeline or WanPipeline" in refusal.said()


@pytest.mark.parametrize(
    "index",
    [{**_A14B, "boundary_ratio": None}, {**_5B, "expand_timesteps": False}, {**_A14B, "transformer_2": [None, None]}],
    ids=["no boundary", "no expanded timesteps", "no second transformer"],
)
def test_a_wan_checkpoint_of_neither_family(refusal: Refusal, index: dict[str, Any]) -> None:
    refusal.write(index)
    said = refusal.said()
    assert "model_index.json is of neither family" in said
    assert "Wan2.2-I2V-A14B has transformer_2 and boundary_ratio" in said


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"_class_name": "EulerDiscreteScheduler"}, "has _class_name 'EulerDiscreteScheduler'; only"),
        ({"prediction_type": "epsilon"}, "has prediction_type 'epsilon'; only 'flow_prediction' is supported"),
        ({"use_flow_sigmas": False}, "has use_flow_sigmas False; only True is supported"),
        ({"solver_type": "bh1"}, "has solver_type 'bh1'; only 'bh2' is supported"),
        ({"thresholding": True}, "has thresholding True; only False is supported"),
        ({"disable_corrector": [0]}, "has disable_corrector [0]; only [] is supported"),
        ({"solver_order": 4}, "has solver_order 4; 1, 2 or 3 are supported"),
    ],
    ids=lambda item: next(iter(item)) if isinstance(item, dict) else "",
)
def test_a_scheduler_that_the_engine_cannot_run(refusal: Refusal, change: dict[str, Any], fault: str) -> None:
    refusal.write(scheduler={**_SCHEDULER, **change})
    assert f"scheduler_config.json {fault}" in refusal.said()


def test_a_checkpoint_without_a_scheduler(refusal: Refusal) -> None:
    refusal.write()
    (refusal.checkpoint / "scheduler" / "scheduler_config.json").unlink()
    assert "scheduler_config.json: No such file or directory; download the scheduler again" in refusal.said()


@pytest.mark.parametrize(("index", "size", "multiple"), [(_A14B, "64x40", 16), (_A14B, "0x0", 16), (_5B, "64x48", 32)])
def test_a_size_that_the_family_cannot_make(refusal: Refusal, index: dict[str, Any], size: str, multiple: int) -> None:
    refusal.write(index)
    assert f"--size {size}: width and height must be multiples of {multiple}" in refusal.said(size=size)


@pytest.mark.parametrize("frames", ["0", "8", "10", "-3"])
def test_a_frame_count_that_is_not_one_more_than_a_multiple_of_four(refusal: Refusal, frames: str) -> None:
    refusal.write()
    assert f"--frames {frames}: must be 4n + 1, for example 17 or 81" in refusal.said(frames=frames)


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("--steps", "0", "must be from 1 to 100"),
        ("--guidance", "nan", "must be from 1 to 30"),
        ("--guidance-low-noise", "0.5", "must be from 1 to 30"),
        ("--shift", "0", "must be from 0.01 to 100"),
        ("--frame-rate", "-1", "must be from 1 to 120"),
    ],
)
def test_a_default_that_no_job_could_use(refusal: Refusal, option: str, value: str, remedy: str) -> None:
    refusal.write()
    assert f"{option} {float(value):g}: {remedy}" in refusal.said(option, value)


def test_a_second_guidance_scale_for_one_transformer(refusal: Refusal) -> None:
    refusal.write(_5B)
    said = refusal.said("--guidance-low-noise", "3", size="64x64")
    assert "--guidance-low-noise: this family has one transformer; leave it out" in said


def test_a_scorer_that_is_none(refusal: Refusal) -> None:
    refusal.write()
    said = refusal.said("--scorer", str(refusal.checkpoint))
    assert f"--scorer {refusal.checkpoint}: holds no config.json; give a SigLIP folder" in said


def test_an_output_folder_with_other_things_in_it(refusal: Refusal) -> None:
    refusal.write()
    refusal.out.mkdir()
    holiday = refusal.out / "holiday.txt"
    holiday.write_text("in Tromsø")
    assert f"--out {refusal.out}: is not empty and holds no bundle; give another folder" in refusal.said()
    assert [*refusal.out.iterdir()] == [holiday]


def test_an_output_folder_that_is_a_file(refusal: Refusal) -> None:
    refusal.write()
    refusal.out.write_text("a file")
    assert f"--out {refusal.out}: is a file; give a folder" in refusal.said()
    assert refusal.out.read_text() == "a file"


def test_an_output_folder_whose_parents_are_still_to_be_made_is_no_fault(refusal: Refusal) -> None:
    refusal.write()
    refusal.out = refusal.out / "of" / "today"
    assert "tokenizer" in refusal.said()  # the first thing that this checkpoint lacks


def test_an_old_bundle_is_no_bundle_once_its_export_has_failed(refusal: Refusal) -> None:
    """Its graphs may be of the old export or of the new one by then."""
    refusal.write()
    refusal.out.mkdir()
    (refusal.out / MANIFEST_NAME).write_text("{}")
    assert "tokenizer" in refusal.said()
    assert not any(refusal.out.iterdir())


def test_an_interrupted_export_may_be_run_again(refusal: Refusal) -> None:
    refusal.write()
    refusal.out.mkdir()
    (refusal.out / "text_encoder.onnx").write_bytes(b"")
    assert "tokenizer" in refusal.said()


@pytest.mark.parametrize("usage", ["64", "64x", "x48", "64x48x9", "-64x48"])
def test_a_size_that_is_no_size_is_wrong_usage(usage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--out", str(tmp_path / "bundle"), f"--size={usage}", "--frames", "9"])
    assert stopped.value.code == 2
    assert f"'{usage}' is not WIDTHxHEIGHT, for example 480x480" in capsys.readouterr().err


def test_a_checkpoint_without_a_tokenizer(refusal: Refusal) -> None:
    refusal.write()
    said = refusal.said()
    assert f"cannot load {refusal.checkpoint / 'tokenizer'}: " in said
    assert said.endswith("; download it again")


def test_a_component_without_weights(refusal: Refusal) -> None:
    refusal.write()
    _text_tokenizer().save_pretrained(refusal.checkpoint / "tokenizer")
    folder = refusal.checkpoint / "text_encoder"
    assert f"{folder} is missing; download it, or give the umT5 text encoder as --text-encoder" in refusal.said()
    folder.mkdir()
    assert f"{folder} holds no file of weights" in refusal.said()


def test_weights_that_are_cut_short(refusal: Refusal) -> None:
    refusal.write()
    tokenizer = _text_tokenizer()
    tokenizer.save_pretrained(refusal.checkpoint / "tokenizer")
    _text_encoder(TinyModel(), len(tokenizer)).save_pretrained(refusal.checkpoint / "text_encoder")
    _cut_short(refusal.checkpoint / "text_encoder")
    said = refusal.said()
    assert f"{refusal.checkpoint / 'text_encoder' / 'model.safetensors'} is cut short: " in said
    assert said.endswith("; download the file again")


def test_weights_of_the_vae_that_are_cut_short(refusal: Refusal) -> None:
    refusal.write()
    _vae(TinyModel()).save_pretrained(refusal.checkpoint / "vae")
    _cut_short(refusal.checkpoint / "vae")
    with pytest.raises(ExportError, match=r"vae/.*safetensors is cut short: .*; download the file again") as refused:
        open_checkpoint(refusal.checkpoint).shards("vae")
    assert "\n" not in str(refused.value)


def _cut_short(component: Path) -> None:
    (file,) = component.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
