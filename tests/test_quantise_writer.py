"""The streaming quantiser: the file's content, when the file appears, and the memory of the pass."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from export.errors import ExportError
from export.quantise.encodings import Float8, Int4, Int8, PassThrough
from export.quantise.stored import QuantisedWeights
from export.quantise.writer import Progress, encoded_byte_count, write_tensors
from export.weights.shards import Shards
from tests.quantising import Tensors, weight

_ROOT = Path(__file__).parent.parent


def _source() -> Tensors:
    return Tensors(
        {
            "a.bias": torch.arange(7.0),
            "a.weight": weight(32, 64),
            "b.weight": weight(32, 64, seed=1).bfloat16(),
            "c.weight": weight(32, 64, seed=2).half(),
            "d": torch.tensor(3.5),
            "table": torch.arange(6).reshape(2, 3),
        }
    )


_ENCODINGS = {
    "a.bias": PassThrough(torch.float32),
    "a.weight": Int8(torch.float16, 2.5),
    "b.weight": Float8(torch.float16),
    "c.weight": Int4(torch.float16, block_size=32),
    "d": PassThrough(torch.float16),
    "table": PassThrough(torch.int64),
}


def test_the_file_is_one_that_the_library_reads(tmp_path: Path) -> None:
    file = tmp_path / "new" / "weights.safetensors"
    write_tensors(_source(), _ENCODINGS, file)
    read = load_file(file)
    for name, encoding in _ENCODINGS.items():
        parts = encoding.parts(name, _source().shape(name))
        for part, expected in zip(parts, encoding.encode(name, _source().read(name)), strict=True):
            actual = read.pop(part.name)
            assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
            assert torch.equal(actual.reshape(-1).view(torch.uint8), expected.reshape(-1).view(torch.uint8)), part.name
    assert not read
    assert list(file.parent.iterdir()) == [file]


def test_every_tensor_is_aligned_to_its_type_and_nothing_lies_between(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    write_tensors(_source(), _ENCODINGS, file)
    (length,) = struct.unpack("<Q", file.read_bytes()[:8])
    assert (8 + length) % 64 == 0
    shards = Shards.of_file(file)
    end = 8 + length
    for weight_ in sorted((shards.weight(name) for name in shards.names()), key=lambda item: item.offset):
        assert weight_.offset == end
        assert weight_.offset % weight_.dtype.itemsize == 0
        end += weight_.byte_count
    assert end == file.stat().st_size
    assert end - 8 - length == encoded_byte_count(_source(), _ENCODINGS)


def test_what_was_quantised_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    write_tensors(_source(), _ENCODINGS, file)
    found = QuantisedWeights.open(file)
    assert set(found.quantised) == {"a.weight", "b.weight", "c.weight"}
    assert found.quantised["a.weight"].input_range == 2.5
    four = found.quantised["c.weight"]
    assert (four.format_name, four.block_size, four.input_range) == ("int4", 32, None)
    assert four.values.shape == (64, 32)
    assert four.values.byte_count == 64 * 32 // 2
    assert found.shards.read("a.bias").tolist() == list(range(7))


def test_progress_counts_tensors_and_bytes_of_the_source(tmp_path: Path) -> None:
    seen: list[Progress] = []
    write_tensors(_source(), _ENCODINGS, tmp_path / "w.safetensors", seen.append)
    assert [(item.name, item.tensor_number) for item in seen] == list(zip(_ENCODINGS, range(1, 7), strict=True))
    total = 7 * 4 + 32 * 64 * (4 + 2 + 2) + 4 + 6 * 8
    assert seen[-1] == Progress("table", 6, 6, total, total)
    assert [item.byte_number for item in seen] == sorted(item.byte_number for item in seen)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_tensors(_source(), _ENCODINGS, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_refused_weight_leaves_no_file_and_keeps_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"the last export")
    damaged = Tensors({"w": torch.full((4, 32), torch.nan)})
    with pytest.raises(ExportError, match=r"w: holds infinities or not-a-numbers"):
        write_tensors(damaged, {"w": Int8(torch.float16)}, file)
    assert file.read_bytes() == b"the last export"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_says_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("export.quantise.writer._write", full)
    with pytest.raises(ExportError, match=r"w\.safetensors: the disk is full, \d+ bytes are needed; free some space"):
        write_tensors(_source(), _ENCODINGS, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_two_weights_of_one_name_are_refused(tmp_path: Path) -> None:
    source = Tensors({"w": weight(4, 32), "w.scale": torch.ones(4)})
    with pytest.raises(ExportError, match=r"w\.scale: two weights would be stored under this name"):
        write_tensors(
            source, {"w": Int8(torch.float16), "w.scale": PassThrough(torch.float32)}, tmp_path / "w.safetensors"
        )


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    for content in (b"", b"no header", struct.pack("<Q", 2) + json.dumps({}).encode()):
        file.write_bytes(content)
        with pytest.raises(ExportError, match=r"w\.safetensors: is not a file of quantised weights"):
            QuantisedWeights.open(file)


_PASS = """
    import sys
    from pathlib import Path
    import torch
    from engine.runtime.process_memory import peak_resident_bytes
    from export.quantise.encodings import Int4, Int8
    from export.quantise.writer import write_tensors
    from export.weights.shards import Shards
    torch.set_num_threads(1)
    source = Shards.open(Path(sys.argv[1]))
    encodings = {name: [Int4, Int8][index % 2](torch.float16) for index, name in enumerate(source.names())}
    first = {name: encodings[name] for name in list(encodings)[:2]}
    write_tensors(source, first, Path(sys.argv[1]) / "first.out")
    before = peak_resident_bytes()
    write_tensors(source, encodings, Path(sys.argv[1]) / "all.out")
    print(peak_resident_bytes() - before)
"""


def test_memory_does_not_grow_with_the_number_of_weights(tmp_path: Path) -> None:
    """Twelve weights of 8 MiB in a sparse file: after the first two, the rest needs no memory of its own."""
    entries: dict[str, Any] = {}
    size = 4 * 1024 * 2048
    for index in range(12):
        entries[f"w{index:02}"] = {
            "dtype": "F32",
            "shape": [1024, 2048],
            "data_offsets": [index * size, (index + 1) * size],
        }
    header = json.dumps(entries).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(file, 8 + len(header) + 12 * size)
    command = [sys.executable, "-c", textwrap.dedent(_PASS), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 3 * size  # of 12
