"""Plan files read ahead into page-locked memory: every byte in order, wherever the library seeks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.runtime import weight_staging
from engine.runtime.cuda import Device
from engine.runtime.weight_staging import PlanReader, WeightStaging
from tests.fake_cuda import FakeCuda

HALF, PART = 64, 16
CONTENT = np.random.default_rng(1).bytes(5 * HALF + 7)


@pytest.fixture
def staging(fake_gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> WeightStaging:
    monkeypatch.setattr(weight_staging, "HALF_BYTES", HALF)
    monkeypatch.setattr(weight_staging, "_PART_BYTES", PART)
    return WeightStaging(Device(0))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan"
    path.write_bytes(CONTENT)
    return path


def read_all(reader: PlanReader, size: Callable[[int], int]) -> Iterator[bytes]:
    for turn in range(10_000):
        if not (part := bytes(reader.read(size(turn)))):
            return
        yield part


@pytest.mark.parametrize("size", [lambda _: 10**9, lambda _: 1, lambda turn: 1 + turn % 90])
def test_every_byte_comes_once_and_in_order(staging: WeightStaging, file: Path, size: Callable[[int], int]) -> None:
    for _ in range(2):  # the halves serve one load after the other
        with staging.reader(file) as reader:
            assert b"".join(read_all(reader, size)) == CONTENT
            assert reader.fault is None


def test_a_part_stays_while_the_next_one_is_read(staging: WeightStaging, file: Path) -> None:
    with staging.reader(file) as reader:
        for start in range(0, len(CONTENT), HALF):
            part = reader.read(10**9)
            for ahead in reader._ahead:
                ahead.result(30)  # the other half is full
            assert bytes(part) == CONTENT[start : start + HALF]


def test_seeking(staging: WeightStaging, file: Path) -> None:
    with staging.reader(file) as reader:
        assert bytes(reader.read(8)) == CONTENT[:8]
        assert reader.seek(0, os.SEEK_SET)
        assert bytes(reader.read(8)) == CONTENT[:8]
        assert reader.seek(100, os.SEEK_CUR)
        assert bytes(reader.read(8)) == CONTENT[108:116]
        assert reader.seek(-7, os.SEEK_END)
        assert b"".join(read_all(reader, lambda _: 5)) == CONTENT[-7:]
        assert not reader.seek(1, os.SEEK_END)
        assert not reader.seek(-1, os.SEEK_SET)
        assert not reader.read(1)


def test_a_disk_that_fails_ends_the_reading_and_is_told(
    staging: WeightStaging, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with staging.reader(file) as reader:
        assert bytes(reader.read(HALF)) == CONTENT[:HALF]
        reader._wait()  # what was read ahead is in memory
        monkeypatch.setattr(os, "preadv", fail)
        assert reader.seek(2 * HALF, os.SEEK_SET)
        assert not reader.read(1)
        assert reader.fault is not None
        assert reader.fault.strerror == "Input/output error"
    with pytest.raises(FileNotFoundError), staging.reader(file.with_name("gone")):
        pass


def test_loads_take_turns(staging: WeightStaging, file: Path) -> None:
    order: list[str] = []

    def load() -> None:
        with staging.reader(file) as reader:
            order.append("second")
            assert b"".join(read_all(reader, lambda _: 50)) == CONTENT

    with ThreadPoolExecutor(1) as pool:
        with staging.reader(file) as reader:
            second = pool.submit(load)
            assert b"".join(read_all(reader, lambda _: 50)) == CONTENT
            order.append("first")
        second.result(30)
    assert order == ["first", "second"]
