"""Tensors in safetensors files: found by name, read one at a time, refused if file and model disagree."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.torch import save_file

from engine.runtime.process_memory import peak_resident_bytes
from export.errors import ExportError
from export.weights.shards import Shards

_TENSORS = {
    "first": torch.arange(12, dtype=torch.float32).view(3, 4) / 7,
    "half": torch.linspace(-2, 2, 5, dtype=torch.float16),
    "brain": torch.linspace(-2, 2, 6).bfloat16().view(2, 3),
    "scalar": torch.tensor(3.5),
    "none": torch.empty(0, 4),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_file(_TENSORS, tmp_path / "model.safetensors")
    return tmp_path


def _write_shards(folder: Path) -> Path:
    """Two files and their index."""
    files = {"model-1.safetensors": ("first", "half"), "model-2.safetensors": ("brain", "scalar", "none")}
    for file, names in files.items():
        save_file({name: _TENSORS[name] for name in names}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, names in files.items() for name in names}}))
    return index


def test_every_tensor_comes_back_as_it_was_stored(folder: Path) -> None:
    shards = Shards.open(folder)
    assert set(shards.names()) == set(_TENSORS)
    for name, tensor in _TENSORS.items():
        assert (shards.shape(name), shards.dtype(name)) == (tuple(tensor.shape), tensor.dtype)
        torch.testing.assert_close(shards.read(name), tensor, rtol=0, atol=0)
    assert shards.byte_count == sum(tensor.nbytes for tensor in _TENSORS.values())
    assert "absent" not in shards


def test_shards_are_one_component(tmp_path: Path) -> None:
    _write_shards(tmp_path)
    (tmp_path / "left-over.safetensors").write_bytes(b"no part of it")
    shards = Shards.open(tmp_path)
    assert [file.name for file in shards.files] == ["model-1.safetensors", "model-2.safetensors"]
    for name, tensor in _TENSORS.items():
        torch.testing.assert_close(shards.read(name), tensor, rtol=0, atol=0)


def test_what_is_read_may_be_changed_and_the_file_stays(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    shards = Shards.open(folder)
    shards.read("first").fill_(9)
    assert (folder / "model.safetensors").read_bytes() == content
    torch.testing.assert_close(shards.read("first"), _TENSORS["first"], rtol=0, atol=0)


def test_a_graph_can_point_at_a_tensor(folder: Path) -> None:
    external = Shards.open(folder).weight("first").external("weight", folder)
    assert (external.location, external.dtype) == ("model.safetensors", ir.DataType.FLOAT)
    np.testing.assert_array_equal(external.numpy(), _TENSORS["first"].numpy())


def test_tensors_read_one_after_another_do_not_add_up(tmp_path: Path) -> None:
    """512 MB in eight tensors; the file is sparse, its pages are not once they are touched."""
    count, side = 8, 4096
    entries = {
        f"weight.{index}": {
            "dtype": "F32",
            "shape": [side, side],
            "data_offsets": [index * side * side * 4, (index + 1) * side * side * 4],
        }
        for index in range(count)
    }
    header = json.dumps(entries).encode()
    file = tmp_path / "model.safetensors"
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + count * side * side * 4)
    shards = Shards.open(tmp_path)
    shards.read("weight.0").sum()
    before = peak_resident_bytes()
    for name in shards.names():
        assert shards.read(name).sum() == 0
    assert peak_resident_bytes() - before < 2 * side * side * 4


@pytest.mark.parametrize("cut_byte_count", [1, 40], ids=["data", "more data"])
def test_a_shard_that_is_cut_short(folder: Path, cut_byte_count: int) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-cut_byte_count])
    assert re.search(rf"is cut short: {len(content) - cut_byte_count} bytes instead of at least \d+", _fault(folder))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"\x05", "has no readable header"),
        (struct.pack("<Q", 9) + b"{}", "has no readable header"),
        (struct.pack("<Q", 2) + b"[]", "has no readable header"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "has no readable header"),
        (struct.pack("<Q", 1 << 40) + b"{}", "has a header of 1099511627776 bytes"),
    ],
)
def test_a_shard_without_a_header(folder: Path, content: bytes, fault: str) -> None:
    (folder / "model.safetensors").write_bytes(content)
    said = _fault(folder)
    assert f"{folder / 'model.safetensors'} {fault}; download the file again" in said


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, "gives w 8 bytes, too many or too few for F32 [3]"),
        (
            {"dtype": "F4", "shape": [2], "data_offsets": [0, 8]},
            "is stored as F4, which the exporter cannot",
        ),
        ({"dtype": "F32", "shape": [2]}, "has a malformed entry for w"),
    ],
)
def test_an_entry_that_contradicts_itself(tmp_path: Path, entry: dict[str, object], fault: str) -> None:
    header = json.dumps({"w": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert fault in _fault(tmp_path)


def test_a_shard_that_the_index_names_and_nobody_has(tmp_path: Path) -> None:
    _write_shards(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    assert "model.safetensors.index.json names model-2.safetensors, which is missing; download" in _fault(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}'])
def test_an_index_that_is_none(tmp_path: Path, content: str) -> None:
    _write_shards(tmp_path).write_text(content)
    assert "model.safetensors.index.json is not a shard index; download the component again" in _fault(tmp_path)


def test_two_variants_in_one_folder(folder: Path) -> None:
    save_file({"half": _TENSORS["half"]}, folder / "model.fp16.safetensors")
    assert "half is in model.fp16.safetensors and in model.safetensors; keep the files of one variant" in _fault(folder)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    assert f"{tmp_path} holds no file of weights (.safetensors, " in _fault(tmp_path)
    assert _fault(tmp_path).endswith(": the folder is empty; download the component again")
    (tmp_path / "weights.msgpack").touch()
    assert _fault(tmp_path).endswith(": there is weights.msgpack; download the component again")


def test_weights_are_held_against_the_model(folder: Path) -> None:
    save_file({**_TENSORS, "whole": torch.ones(2, dtype=torch.int8)}, folder / "model.safetensors")
    shards = Shards.open(folder)
    shards.check({"first": (3, 4), "brain": (2, 3), "scalar": ()})
    for name, shape, fault in (
        ("first", (4, 3), "first in model.safetensors has shape [3, 4], config.json makes it [4, 3]"),
        ("second", (1,), "it holds no second; download the component again"),
        ("whole", (2,), "whole in model.safetensors is stored as torch.int8; give the checkpoint in float32"),
    ):
        with pytest.raises(ExportError) as refused:
            shards.check({name: shape})
        assert fault in str(refused.value)


def _fault(folder: Path) -> str:
    with pytest.raises(ExportError) as refused:
        Shards.open(folder)
    return str(refused.value)
