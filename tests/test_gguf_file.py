"""GGUF files: every type equals the reference's values, shapes are torch's, damaged files are refused in a sentence."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, TensorNameMap
from gguf.constants import MODEL_ARCH

from export.errors import ExportError
from export.weights.files import gguf_file
from export.weights.files.gguf_file import READABLE_TYPES, GgufTensor, read_gguf_file
from export.weights.names.layout import find_layout
from tests.gguf_files import stored_noise, write_gguf
from tests.official_names import official_shapes


@pytest.mark.parametrize("type_name", READABLE_TYPES)
def test_every_type_gives_the_values_of_the_reference(tmp_path: Path, type_name: str) -> None:
    stored = stored_noise(type_name, (150, 512))  # more than two pieces
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(stored, GGMLQuantizationType[type_name])
    found = _open(write_gguf(tmp_path / "a.gguf", {"first": (np.ones(3, np.float32), "F32"), "x": (stored, type_name)}))
    tensor = found["x"]
    assert (list(found), tensor.shape, tensor.type_name) == (["first", "x"], (150, 512), type_name)
    values = tensor.read()
    assert values.dtype is tensor.torch_dtype
    torch.testing.assert_close(values.float(), torch.from_numpy(expected), rtol=0, atol=0, equal_nan=True)


def test_q8_0_by_hand(tmp_path: Path) -> None:
    """A block of 32 values is a float16 scale and 32 signed bytes."""
    block = np.frombuffer(np.float16(0.5).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes(), np.uint8)[None]
    found = _open(write_gguf(tmp_path / "a.gguf", {"x": (block, "Q8_0")}))
    assert found["x"].read().tolist() == [[0.5 * value for value in range(-16, 16)]]


def test_patch_embeddings_with_five_axes_and_flattened_ones(tmp_path: Path) -> None:
    weight = np.arange(8 * 36 * 4, dtype=np.float32).reshape(8, 36, 1, 2, 2)
    flat = stored_noise("Q4_0", (9, 128))
    tensors = {"patch_embedding.weight": (weight, "F32"), "flat": (flat, "Q4_0")}
    found = _open(write_gguf(tmp_path / "a.gguf", tensors, original_shapes={"flat": (8, 36, 1, 2, 2)}))
    torch.testing.assert_close(found["patch_embedding.weight"].read(), torch.from_numpy(weight), rtol=0, atol=0)
    assert found["flat"].shape == (8, 36, 1, 2, 2)
    expected = torch.from_numpy(gguf.dequantize(flat, GGMLQuantizationType.Q4_0)).reshape(8, 36, 1, 2, 2)
    torch.testing.assert_close(found["flat"].read(), expected, rtol=0, atol=0)


def test_reading_needs_the_memory_of_the_result(tmp_path: Path) -> None:
    tensor = _open(write_gguf(tmp_path / "a.gguf", {"x": (stored_noise("Q4_K", (2048, 4096)), "Q4_K")}))["x"]
    tensor.read()
    tracemalloc.start()  # counts numpy's arrays, not torch's result of 32 MB
    tensor.read()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 << 20


def test_names_of_umt5_are_those_of_llama_cpp() -> None:
    """The package's own map from transformers' names."""
    official = find_layout("text_encoder", list(official_shapes("umt5")))
    assert official is not None
    names = TensorNameMap(MODEL_ARCH.T5ENCODER, 24)
    stored = {str(names.get_name(inside, (".weight",))): inside for inside in official.inside.values()}
    assert len(stored) == 242
    found = find_layout("text_encoder", list(stored))
    assert found is not None
    assert (found.layout, found.unknown, found.inside) == ("gguf", (), stored)


def _open(file: Path) -> dict[str, GgufTensor]:
    return dict(read_gguf_file(file))


def _refusal(file: Path) -> str:
    with pytest.raises(ExportError) as raised:
        _open(file)
    return str(raised.value)


def _header(*parts: bytes, version: int = 3, tensor_count: int = 0, field_count: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensor_count, field_count) + b"".join(parts)


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _info(name: bytes, lengths: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return _text(name) + struct.pack(f"<I{len(lengths)}QIQ", len(lengths), *lengths, kind, offset)


_AGAIN = "; download the file again"
_ORDER = "; give one of version 2 or 3 in little-endian order"
_TYPES = ", which cannot be read; give another quantisation, such as Q8_0, Q6_K or Q4_K"


def _field(key: bytes, code: str, *values: int) -> bytes:
    return _header(_text(key) + struct.pack(f"<{code}", *values), field_count=1)


def _tensor(*lengths: int, kind: int = 0) -> bytes:
    return _header(_info(b"x", lengths, kind), tensor_count=1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is cut short within its header" + _AGAIN),
        (b"PK\3\4....", "is no GGUF file; download it again"),
        (_header(version=1), "is a GGUF file of version 1" + _ORDER),
        (_header(version=3 << 24), "is a GGUF file in big-endian order" + _ORDER),
        (_header(tensor_count=1 << 60), f"claims {1 << 60} tensors" + _AGAIN),
        (_header(field_count=1 << 60), f"claims {1 << 60} metadata fields" + _AGAIN),
        (_header(tensor_count=65_536), "is cut short within its header" + _AGAIN),
        (_header(struct.pack("<Q", 1 << 40), field_count=1), f"claims {1 << 40} bytes in a name" + _AGAIN),
        (_header(_text(b"\xff"), field_count=1), "has a name that is not UTF-8" + _AGAIN),
        (_field(b"k", "I", 77), "has a metadata field of type 77" + _AGAIN),
        (_field(b"k", "IQ", 8, 1 << 50), "is cut short within its header" + _AGAIN),
        (_field(b"k", "IIQ", 9, 8, 1 << 50), f"has a list of {1 << 50} strings" + _AGAIN),
        (_field(b"k", "IIQ", 9, 9, 1), "has a metadata list of type 9" + _AGAIN),
        (_field(b"k", "IIQ", 9, 5, 1 << 50), "is cut short within its header" + _AGAIN),
        (_field(b"comfy.gguf.orig_shape.x", "IIQ", 9, 5, 9), "gives a tensor 9 axes" + _AGAIN),
        (_field(b"split.count", "IH", 2, 3), "is one of 3 parts; merge these with llama.cpp's gguf-split --merge"),
        (_field(b"general.alignment", "II", 4, 0), "has an alignment of 0" + _AGAIN),
        (_tensor(4), "is cut short: 57 bytes instead of at least 80" + _AGAIN),
        (_tensor(1 << 40, 1 << 20), f"is cut short: 65 bytes instead of at least {96 + (1 << 62)}" + _AGAIN),
        (_tensor(0), "gives x the shape (0,)" + _AGAIN),
        (_tensor(1, 1, 1, 1, 1, 1, 1, 1, 1), "claims 9 axes in x" + _AGAIN),
        (_tensor(33, kind=8), "gives x 33 elements, which are no whole blocks of Q8_0" + _AGAIN),
        (_tensor(64, kind=40), "stores x as NVFP4" + _TYPES),
        (_tensor(64, kind=26), "stores x as I32" + _TYPES),
        (_tensor(64, kind=999), "stores x as GGUF type 999" + _TYPES),
    ],
)
def test_damaged_and_unreadable_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(content)
    assert _refusal(file) == f"{file} {sentence}"


def test_a_name_that_comes_twice_a_shape_that_does_not_fit_and_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(_header(_info(b"x", (1,)), _info(b"x", (1,)), tensor_count=2) + bytes(64))
    assert _refusal(file) == f"{file} holds x twice" + _AGAIN
    write_gguf(file, {"x": (np.ones(6, np.float32), "F32")}, original_shapes={"x": (2, 4)})
    assert _refusal(file) == f"{file} stores x as [6], which are not the elements of [2, 4]" + _AGAIN
    assert _refusal(tmp_path / "b.gguf").endswith("b.gguf: No such file or directory")


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "a.gguf", {"x": (np.ones((64, 64), np.float32), "F32")})
    tensor = _open(file)["x"]
    with file.open("r+b") as stream:
        stream.truncate(tensor.offset + 100)
    with pytest.raises(ExportError, match=r"a\.gguf became shorter while it was read"):
        tensor.read()


def test_mutated_headers_are_read_or_refused_in_bounded_memory(tmp_path: Path) -> None:
    tensors = {"x": (stored_noise("Q4_K", (4, 256)), "Q4_K"), "y": (np.ones((2, 3), np.float32), "F32")}
    whole = write_gguf(tmp_path / "whole.gguf", tensors, original_shapes={"x": (2, 2, 256)}).read_bytes()
    draw = random.Random(0)
    file = tmp_path / "a.gguf"
    refused = 0
    tracemalloc.start()
    for _ in range(2_000):
        content = bytearray(whole[: draw.choice((len(whole), draw.randrange(len(whole))))])
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(max(1, len(content) - 8))
            content[place : place + draw.choice((1, 4, 8))] = draw.choice((b"\xff" * 8, b"\0" * 8, draw.randbytes(4)))
        file.write_bytes(content)
        try:
            opened = _open(file)
        except ExportError as error:
            refused += 1
            assert "; " in str(error)  # noqa: PT017
        else:
            for tensor in opened.values():
                assert tensor.read().shape == tensor.shape
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused > 1_000
    assert peak_bytes < 16 << 20


def test_pieces_hold_whole_blocks() -> None:
    sizes = [gguf.GGML_QUANT_SIZES[GGMLQuantizationType[name]][0] for name in READABLE_TYPES]
    assert all(gguf_file._PIECE_ELEMENTS % size == 0 for size in sizes)
