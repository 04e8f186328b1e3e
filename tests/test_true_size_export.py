"""Parts of the benchmark of a true-size export: random 8-bit floats, ranges, and a log that spares the disk."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.quantise_stream import expert_shapes, write_fp8_scaled
from benchmarks.sparing_log import SparingLog
from benchmarks.true_size_checkpoint import fill
from benchmarks.true_size_export import memory_of_family

_SIZE = 1 << 20


def test_an_emptied_plan_keeps_its_size_and_its_step(tmp_path: Path) -> None:
    made = []

    def work() -> tuple[dict[str, int], list[Path]]:
        file = tmp_path / "plans" / "one.plan"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.urandom(_SIZE))
        made.append(file)
        return {"number": len(made)}, [file]

    log = SparingLog(tmp_path, {})
    assert log.step("weights of one", {}, work) == {"number": 1}
    assert made[0].stat().st_blocks > 0
    assert log.step("engine of one", {}, work) == {"number": 2}
    assert (made[0].stat().st_size, made[0].stat().st_blocks) == (_SIZE, 0)
    digest = log.file("plans/one.plan")
    again = SparingLog(tmp_path, {})
    assert again.step("engine of one", {}, work) == {"number": 2}
    assert again.file("plans/one.plan") == digest


def test_random_experts_hold_numbers_and_no_two_blocks_alike(tmp_path: Path) -> None:
    shapes = {name: tuple(min(side, 64) for side in shape) for name, shape in expert_shapes(block_count=2).items()}
    write_fp8_scaled(tmp_path / "expert", shapes)
    (file,) = (tmp_path / "expert").glob("*.safetensors")
    fill(file)
    weights = {name: tensor.float() for name, tensor in load_file(file).items()}
    assert all(tensor.isfinite().all() for tensor in weights.values())
    first, second = (weights[f"blocks.{index}.ffn.0.weight"] for index in range(2))
    assert first.std() > 1
    assert not torch.equal(first, second)
    assert 0 < float(weights["blocks.0.ffn.0.scale_weight"]) < 1


def test_the_memory_of_a_process_and_its_children_is_seen() -> None:
    whole, anonymous = memory_of_family(os.getpid())
    assert whole > anonymous > 10_000_000
