"""Judges mutated and hostile files of a checkpoint in a process of its own: ``python -m tests.hostile_files FOLDER``.

Prints one JSON object: how many files of each kind were judged and refused, what went wrong, the growth of the resident
memory, and the slowest file. Each file goes through the code with which an export opens a file of its kind.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import pickle
import random
import resource
import shutil
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from export.errors import ExportError
from tests.checkpoint_layouts import component_state, renamed
from tests.damaged_checkpoints import many_tensors, saved_by_torch, torch_archive
from tests.gguf_files import stored_noise, write_gguf

COUNTS = {"safetensors": 600, "pth": 500, "gguf": 200, "json": 600, "index": 100}
MIB = 1 << 20
_NUMBERS = (
    b"\xff" * 8,
    b"\0" * 8,
    b"\x7f" + b"\xff" * 7,
    b"9" * 12,
    b"-1",
    b"{}",
    b"[[[[",
    b"../",
    b"e308",
    b'"',
    b"\x80",
)


def main() -> None:
    """Judges every file and prints the outcome."""
    folder = Path(sys.argv[1])
    judge = _Judge(folder)
    kinds: dict[str, Callable[[_Judge, Path, random.Random, int], None]] = {
        "safetensors": _safetensors,
        "pth": _torch_files,
        "gguf": _gguf,
        "json": _configurations,
        "index": _indices,
    }
    for kind, run in kinds.items():
        run(judge, folder, random.Random(kind), COUNTS[kind])
    sys.stdout.write(json.dumps(judge.outcome()) + "\n")


class _Judge:
    """Counts judgements; every error but ``ExportError`` with a remedy is a fault."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._judged: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._faults: list[str] = []
        self._slowest = (0.0, "")
        self._first_kib = 0
        self._seconds: dict[str, float] = {}

    def open(self, kind: str, name: str, action: Callable[[], object]) -> None:
        """Runs the code that opens a file; the first call of a kind warms up and loads libraries."""
        self._judged[kind] = self._judged.get(kind, 0) + 1
        started = time.process_time()
        try:
            action()
        except ExportError as error:
            self._refused[kind] = self._refused.get(kind, 0) + 1
            if ";" not in str(error) and ": " not in str(error):
                self._faults.append(f"{kind} {name}: no remedy in {error}")
        except BaseException as error:  # noqa: BLE001
            self._faults.append(f"{kind} {name}: {type(error).__name__}: {str(error)[:300]}")
        self._seconds[kind] = self._seconds.get(kind, 0.0) + time.process_time() - started
        self._slowest = max(self._slowest, (time.process_time() - started, f"{kind} {name}"))

    def start(self) -> None:
        """Memory is counted from here: the libraries are loaded."""
        if not self._first_kib:
            self._first_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def outcome(self) -> dict[str, Any]:
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "judged": self._judged,
            "refused": self._refused,
            "faults": self._faults[:20],
            "grown_bytes": (peak_kib - self._first_kib) * 1024,
            "slowest_seconds": self._slowest[0],
            "slowest": self._slowest[1],
            "seconds": self._seconds,
        }


def _mutated(whole: bytes, draw: random.Random, upto: int) -> bytes:
    """The file cut short, or with bytes of its first ``upto`` replaced, inserted or removed."""
    content = bytearray(whole if draw.random() < 0.8 else whole[: draw.randrange(len(whole))])
    for _ in range(draw.randrange(1, 5)):
        place = draw.randrange(max(1, min(upto, len(content))))
        piece = draw.choice((*_NUMBERS, draw.randbytes(draw.randrange(1, 5)), b""))
        content[place : place + draw.choice((0, 1, 4, 8))] = piece
    return bytes(content)


def _read_all(path: Path) -> None:
    """What a dry run does with a file of weights: headers, names, values."""
    from export.weights.component_files import ComponentFiles
    from export.weights.files.tensor_files import read_tensors
    from export.weights.shards import Shards

    ComponentFiles("transformer", path)
    shards = Shards(str(path), read_tensors([path]))
    for name in shards.names():
        shards.read(name)
    opened = ComponentFiles("transformer", path).open()
    opened.require_known_names()
    opened.configuration()


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    """A tiny transformer in the official names."""
    return renamed(component_state(folder / "checkpoint", "transformer"), "transformer")


def _safetensors(judge: _Judge, folder: Path, draw: random.Random, count: int) -> None:
    whole = save(_tensors(folder))
    file = folder / "model.safetensors"
    length = 8 + struct.unpack("<Q", whole[:8])[0]

    def judged(name: str, content: bytes) -> None:
        file.write_bytes(content)
        judge.open("safetensors", name, lambda: _read_all(file))

    judged("whole", whole)
    judge.start()
    hostile = list(_hostile_headers())
    for number, header in enumerate(hostile):
        judged(f"header {number}", struct.pack("<Q", len(header)) + header)
    for number in range(count - len(hostile) - 1):
        content = _mutated(whole, draw, length)
        if draw.random() < 0.5:  # a length that fits again, so that the JSON is read
            end = content.find(b"}}", 8) + 2
            content = struct.pack("<Q", max(0, min(end, len(content)) - 8)) + content[8:]
        judged(f"mutation {number}", content)


def _hostile_headers() -> Iterator[bytes]:
    def entry(shape: str, offsets: str = "[0,0]", dtype: str = "F32") -> bytes:
        return f'{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}'.encode()

    yield entry("[0,4611686018427387904]")
    yield entry("[9223372036854775807,9223372036854775807]", "[0,4]")
    yield entry("[1]", "[4,0]")
    yield entry("[1]", "[18446744073709551612,18446744073709551616]")
    yield entry("[" + "1," * 100_000 + "1]", "[0,4]")
    yield entry("[1e400]")
    yield entry("[" + "9" * 5_000 + "]")
    yield entry("[1]", "[0,4]", "F" * 100_000)
    yield b'{"a":' * 200_000
    yield b"{" + b",".join(b'"%d":{}' % number for number in range(400_000)) + b"}"
    yield b'{"a":[' + b"{}," * 1_600_000 + b"{}]}"
    yield many_tensors(65_537)[8:]
    yield b'{"__metadata__":"x","":{"dtype":"F32","shape":[],"data_offsets":[0,0]}}'
    yield json.dumps(
        {
            f"{'p.' * number}blocks.{number}.self_attn.q.weight": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
            for number in range(1_000)
        }
    ).encode()


class _Runs:
    """An object whose pickle runs a command when it is read without care."""

    def __init__(self, sentinel: Path) -> None:
        self._sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._sentinel}",)


def _torch_files(judge: _Judge, folder: Path, draw: random.Random, count: int) -> None:
    file = folder / "model.pth"
    whole = saved_by_torch(_tensors(folder))
    with zipfile.ZipFile(_written(folder / "whole.zip", whole)) as archive:
        state = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))

    def judged(name: str, content: bytes) -> None:
        file.write_bytes(content)
        judge.open("pth", name, lambda: _read_all(file))

    hostile = dict(_hostile_archives(folder / "ran", state))
    for name, content in hostile.items():
        judged(name, content)
    for number in range(count - len(hostile)):
        if draw.random() < 0.6:
            entries = {"a/data.pkl": _mutated(state, draw, len(state)), "a/version": b"3\n", "a/byteorder": b"little"}
            judged(f"pickle {number}", torch_archive({**entries, **{f"a/data/{key}": bytes(24) for key in range(20)}}))
        else:
            judged(f"archive {number}", _mutated(whole, draw, len(whole)))


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def _hostile_archives(sentinel: Path, state: bytes) -> Iterator[tuple[str, bytes]]:
    pickles = {
        "a command": pickle.dumps({"a": _Runs(sentinel)}),
        "a command, protocol 2": pickle.dumps({"a": _Runs(sentinel)}, 2),
        "a command, protocol 0": pickle.dumps({"a": _Runs(sentinel)}, 0),
        "eval": b"\x80\x02cbuiltins\neval\nX\x04\0\0\0open\x85R.",
        "torch's loader": b"\x80\x02ctorch\nload\nX\x01\0\0\0x\x85R.",
        "torch.storage": b"\x80\x02ctorch.storage\n_load_from_bytes\nC\x01x\x85R.",
        "a long of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "bytes of 8 EB": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
        "a bytearray of 4 GB": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        "text of 4 GB": b"\x80\x02X\xff\xff\xff\xff.",
        "frames": b"\x80\x04\x95" + b"\xff" * 8 + b".",
        "tuples of tuples as key": b"\x80\x02}K\x01" + _doubled(60) + b"K\x01s.",
        "deep tuples as key": b"\x80\x02}K\x01" + b"\x85" * 500_000 + b"K\x01s.",
        "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "marks": b"\x80\x02" + b"(" * 100_000 + b".",
        "many operations": b"\x80\x02" + b"K\x010" * 2_000_000 + b"}.",
        "an int of 100,000 digits": b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        "no stop": b"\x80\x02}",
        "an empty stack": b"\x80\x02.",
        "a size beyond all": state.replace(b"K\x02K\x03\x86", b"\x8a\x08" + b"\xff" * 7 + b"\x7f" + b"K\x03\x86", 1),
        "an offset below zero": state.replace(b"QK\0", b"QJ\0\0\0\x80", 1),
    }
    for name, content in pickles.items():
        yield (
            name,
            torch_archive({"a/data.pkl": content, "a/version": b"3\n", **{f"a/data/{n}": bytes(24) for n in range(3)}}),
        )
    yield "a bomb of zeros", torch_archive({"a/data.pkl": state, "a/data/0": bytes(32 * MIB)}, zipfile.ZIP_DEFLATED)
    yield "a bomb as pickle", torch_archive({"a/data.pkl": b"\x80\x02" + b"N0" * 10 * MIB}, zipfile.ZIP_DEFLATED)
    yield "two pickles", torch_archive({"a/data.pkl": state, "b/data.pkl": state})
    yield "climbing names", torch_archive({"../../data.pkl": state, "/etc/x": b""})
    whole = torch_archive({"a/data.pkl": state, "a/version": b"3\n"})
    end = whole.rindex(b"PK\5\6")
    yield "a directory of 4 GB", whole[: end + 12] + b"\xfe\xff\xff\xff" + whole[end + 16 :]
    yield "65,535 entries", whole[: end + 8] + b"\xff\xff\xff\xff" + whole[end + 12 :]
    yield (
        "a size that differs",
        whole.replace(struct.pack("<LL", len(state), len(state)), struct.pack("<LL", len(state), 2**32 - 1)),
    )


def _doubled(times: int) -> bytes:
    """A tuple that holds the tuple before it twice, by the memo."""
    return b"".join(b"q%ch%c\x86" % (number, number) for number in range(times))


def _gguf(judge: _Judge, folder: Path, draw: random.Random, count: int) -> None:
    tensors: dict[str, tuple[NDArray[np.generic], str]] = {
        name: (item.numpy(), "F32") for name, item in _tensors(folder).items()
    }
    tensors["blocks.0.ffn.2.weight"] = (stored_noise("Q8_0", (128, 32)), "Q8_0")
    whole = write_gguf(folder / "whole.gguf", tensors).read_bytes()
    file = folder / "model.gguf"
    for number in range(count):
        file.write_bytes(_mutated(whole, draw, 10_000))
        judge.open("gguf", f"mutation {number}", lambda: _read_all(file))


def _configurations(judge: _Judge, folder: Path, draw: random.Random, count: int) -> None:
    """Every JSON file of a checkpoint in turn, through what a dry run does before it reads values."""
    whole = folder / "checkpoint"
    work = shutil.copytree(whole, folder / "mutated")
    names = sorted(file.relative_to(whole).as_posix() for file in whole.rglob("*.json"))
    for number in range(count):
        name = names[number % len(names)]
        original = (whole / name).read_bytes()
        changed = _mutated_json(original, draw) if draw.random() < 0.7 else _mutated(original, draw, len(original))
        (work / name).write_bytes(changed)
        judge.open("json", f"{name} {number}", functools.partial(_open_parts, work, name))
        (work / name).write_bytes(original)


_VALUES: tuple[object, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), "", "x", "x" * 5_000, [], {}, [1] * 5_000,
    ["builtins", "eval"], {"a": {"a": {}}}, "../../etc/passwd", [None, None], [[[[]]]],
)  # fmt: skip


def _mutated_json(content: bytes, draw: random.Random) -> bytes:
    """The same JSON with other values at random places, and now and then a key more or less."""
    root = json.loads(content)
    for _ in range(draw.randrange(1, 4)):
        node = root
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and draw.random() < 0.7:
                node = node[key]
                continue
            if isinstance(node, dict) and draw.random() < 0.2:
                node.pop(key)
                node[draw.choice(("auto_map", "quantization_config", "x", "dtype"))] = copy.deepcopy(
                    draw.choice(_VALUES)
                )
            else:
                node[key] = copy.deepcopy(draw.choice(_VALUES))
            break
    return json.dumps(root).encode()


def _open_parts(checkpoint: Path, name: str) -> None:
    from export.bundle.scorer_check import check_scorer
    from export.weights.layouts.opening import open_checkpoint
    from export.weights.tokenizer import load_tokenizer

    part = name.partition("/")[0]
    if part == "tokenizer":
        load_tokenizer(checkpoint / "tokenizer")
    elif part == "scorer":
        check_scorer(checkpoint / "scorer")
    else:
        opened = open_checkpoint(checkpoint)
        if part == "vae":
            opened.vae()
        elif part == "text_encoder":
            opened.text_encoder()
        elif part.startswith("transformer") and part in opened.components:
            opened.transformer(part)


def _indices(judge: _Judge, folder: Path, draw: random.Random, count: int) -> None:
    from export.weights.shards import Shards

    place = folder / "sharded"
    place.mkdir()
    (place / "model-1.safetensors").write_bytes(save({"a": torch.ones(2)}))
    (folder / "outside.safetensors").write_bytes(save({"a": torch.ones(2)}))
    whole = json.dumps({"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors"}}).encode()
    hostile = (
        b'{"weight_map": {"a": "../outside.safetensors"}}',
        b'{"weight_map": {"a": "/etc/passwd"}}',
        b'{"weight_map": {"a": "."}}',
        b'{"weight_map": {"a": ".."}}',
        b'{"weight_map": {"a": ""}}',
        b'{"weight_map": {"a": "a\\u0000b"}}',
        b'{"weight_map": {"a": "' + b"x" * 5_000 + b'"}}',
        b'{"weight_map": {"a": {}}}',
        b'{"weight_map": []}',
        b"[" * 100_000,
    )
    for number in range(count):
        content = hostile[number] if number < len(hostile) else _mutated(whole, draw, len(whole))
        (place / "model.safetensors.index.json").write_bytes(content)
        judge.open("index", f"{number}", lambda: Shards.open(place))


if __name__ == "__main__":
    main()
