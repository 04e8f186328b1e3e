"""The tokenizer of umT5 in each form that people have, and those that are not the text encoder's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentencepiece import SentencePieceProcessor

from export.__main__ import main
from export.errors import ExportError
from export.options import ComponentOptions
from export.weights.layouts.opening import open_checkpoint
from export.weights.tokenizer import check_vocabulary, load_tokenizer
from tests.checkpoint_layouts import component_state
from tests.checkpoints import TinyModel, write_checkpoint
from tests.piece_models import piece_model

_SENTENCES = ("a white cat jumps to the left", "the red car drives slowly", "一只白色的猫向左跳", "海豚跃出海面")
_PROMPT = "the white cat 跳, then the red car!"


@pytest.fixture(scope="module")
def pieces() -> bytes:
    return piece_model(_SENTENCES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tokenizer") / "checkpoint", TinyModel(layer_count=1))


def _expected(pieces: bytes) -> list[int]:
    return [*SentencePieceProcessor(model_proto=pieces).encode(_PROMPT), 1]  # and the end of the sentence


@pytest.mark.parametrize("name", ["spiece.model", "umt5.model"])
def test_a_sentencepiece_model(pieces: bytes, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(pieces)
    tokenizer = load_tokenizer(file)
    assert tokenizer(_PROMPT).input_ids == _expected(pieces)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, len(tokenizer)) == (0, 1, 40)


def test_a_folder_with_a_sentencepiece_model(pieces: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(pieces)
    assert load_tokenizer(tmp_path)(_PROMPT).input_ids == _expected(pieces)


def test_a_folder_and_its_tokenizer_json_are_one(checkpoint: Path) -> None:
    folder = load_tokenizer(checkpoint / "tokenizer")
    file = load_tokenizer(checkpoint / "tokenizer" / "tokenizer.json")
    assert folder(_PROMPT).input_ids == file(_PROMPT).input_ids
    assert (file.pad_token_id, file.eos_token_id) == (folder.pad_token_id, folder.eos_token_id)


def test_the_text_encoder_of_comfyui_carries_its_tokenizer(
    checkpoint: Path, pieces: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = component_state(checkpoint, "text_encoder")
    rows = next(name for name in ("shared.weight", "encoder.embed_tokens.weight") if name in state)
    state[rows] = state[rows][:40].clone()
    state["spiece_model"] = torch.from_numpy(np.frombuffer(pieces, np.uint8).copy())
    save_file(state, tmp_path / "umt5.safetensors")
    without = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, without, ignore=shutil.ignore_patterns("tokenizer"))
    found = open_checkpoint(without, ComponentOptions(text_encoder=tmp_path / "umt5.safetensors"))
    assert found.tokenizer()(_PROMPT).input_ids == _expected(pieces)
    arguments = [str(without), "--out", str(tmp_path / "out"), "--size", "64x48", "--frames", "5", "--dry-run"]
    assert main([*arguments, "--text-encoder", str(tmp_path / "umt5.safetensors")]) == 0
    assert "tokenizer        from the file of the text encoder" in capsys.readouterr().out


def test_a_tokenizer_that_is_nowhere_is_asked_for() -> None:
    with pytest.raises(ExportError, match=r"no tokenizer was found: give --tokenizer with the folder google/umt5-xxl"):
        load_tokenizer(None)


@pytest.mark.parametrize(
    ("name", "content"),
    [("spiece.model", b"no model"), ("spiece.model", b""), ("tokenizer.json", b"{"), ("tokenizer.json", b"{}")],
)
def test_damaged_tokenizers(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ExportError) as refused:
            load_tokenizer(path)
        said = str(refused.value)
        assert str(tmp_path) in said
        assert said.endswith(
            (
                "; download the file again",
                "; give the folder google/umt5-xxl of the official checkpoint, or its spiece.model or tokenizer.json",
            )
        )
        assert "\n" not in said


def test_folders_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"holds neither tokenizer\.json nor spiece\.model; download it again"):
        load_tokenizer(tmp_path)
    with pytest.raises(ExportError, match=r"no such file or folder; download it again"):
        load_tokenizer(tmp_path / "absent")


def test_the_tokenizer_of_another_model(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint / "tokenizer")
    check_vocabulary(tokenizer, len(tokenizer))
    check_vocabulary(tokenizer, len(tokenizer) + 384)  # umT5's embedding has spare rows
    for rows in (len(tokenizer) - 1, 256_384):
        with pytest.raises(ExportError, match=rf"{len(tokenizer)} tokens and the text encoder {rows}: they are not of"):
            check_vocabulary(tokenizer, rows)
    assert json.loads((checkpoint / "text_encoder" / "config.json").read_text())["vocab_size"] == len(tokenizer)
