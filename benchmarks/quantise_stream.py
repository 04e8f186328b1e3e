"""Memory and time of quantising an A14B expert of true size with the exporter's streaming pass.

    python -m benchmarks.quantise_stream --json FILE [--blocks N] [--format int4|int8|fp8] [--moments]
                                         [--layout diffusers|comfyui-fp8]

The expert has the shapes of ``Wan2.2-I2V-A14B``. With ``--layout diffusers`` it lies in sparse shards of 5 GB, 57 GB of
float32; with ``comfyui-fp8`` in one sparse file of 14.5 GB with official names: 8-bit floats with a scale for each
weight of the linears in blocks, the rest in float16, dequantised as they are read. The tensors are all zeros, which
take no disk space and take the same time to quantise as other numbers.
``--blocks`` quantises only the first blocks: peak
memory depends on the largest weights, which every block has, and ``expert_seconds`` is extrapolated by bytes. The
output is deleted afterwards. ``--moments`` adds the feedback of calibrated four-bit rounding, with second moments of
the true size.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.processes import first_line, spawn
from benchmarks.report import Report

_SHARD_BYTES = 5_000_000_000
_TARGETS = {"peak_bytes": 4e9}
_WIDTH, _FFN, _BLOCK_COUNT, _TEXT, _FREQ = 5120, 13824, 40, 4096, 256


def main() -> None:
    """Measures in a fresh process, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantise_stream")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--blocks", type=int, default=_BLOCK_COUNT, help="transformer blocks to quantise")
    parser.add_argument("--format", default="int4", choices=("int4", "int8", "fp8"))
    parser.add_argument("--layout", default="diffusers", choices=("diffusers", "comfyui-fp8"))
    parser.add_argument("--moments", action="store_true", help="with feedback from second moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        is_single = options.layout == "comfyui-fp8"
        write = write_fp8_scaled if is_single else _write_sparse
        expert_bytes = write(Path(name) / "transformer", expert_shapes())
        arguments = (name, str(options.blocks), options.format, str(int(options.moments)))
        process = spawn("benchmarks.quantise_stream", "--worker", *arguments)
        figures: dict[str, float] = {"expert_bytes": expert_bytes, **json.loads(first_line(process))}
        process.communicate()
    figures["expert_seconds"] = figures["pass_seconds"] * expert_bytes / figures["read_bytes"]
    figures["expert_cpu_seconds"] = figures["cpu_seconds"] * expert_bytes / figures["read_bytes"]
    form = f"{options.format}{'_fp8_scaled' * is_single}{'_moments' * options.moments}"
    report = Report(f"quantise_stream_{form}", figures, _TARGETS)
    report.show()
    report.write(options.json)


def expert_shapes(block_count: int = _BLOCK_COUNT) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of one expert's parameters by name, in block order. Source: the checkpoint's config.json."""
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (_WIDTH, 36, 1, 2, 2),
        "patch_embedding.bias": (_WIDTH,),
        "scale_shift_table": (1, 2, _WIDTH),
        "proj_out.weight": (64, _WIDTH),
        "proj_out.bias": (64,),
    }
    embedders = {
        "time_embedder.linear_1": (_WIDTH, _FREQ),
        "time_embedder.linear_2": (_WIDTH, _WIDTH),
        "time_proj": (6 * _WIDTH, _WIDTH),
        "text_embedder.linear_1": (_WIDTH, _TEXT),
        "text_embedder.linear_2": (_WIDTH, _WIDTH),
    }
    linears = {f"condition_embedder.{name}": shape for name, shape in embedders.items()}
    for block in range(block_count):
        shapes[f"blocks.{block}.scale_shift_table"] = (1, 6, _WIDTH)
        shapes |= {f"blocks.{block}.norm2.{part}": (_WIDTH,) for part in ("weight", "bias")}
        for attention in ("attn1", "attn2"):
            prefix = f"blocks.{block}.{attention}"
            shapes |= {f"{prefix}.norm_{part}.weight": (_WIDTH,) for part in "qk"}
            linears |= {f"{prefix}.{name}": (_WIDTH, _WIDTH) for name in ("to_q", "to_k", "to_v", "to_out.0")}
        linears[f"blocks.{block}.ffn.net.0.proj"] = (_FFN, _WIDTH)
        linears[f"blocks.{block}.ffn.net.2"] = (_WIDTH, _FFN)
    for name, shape in linears.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    return shapes


def _write_sparse(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Writes sparse shards of float32 zeros; returns the bytes of their data."""
    folder.mkdir(parents=True)
    shards: list[dict[str, object]] = [{}]
    offset = total = 0
    for name, shape in shapes.items():
        size = 4 * functools.reduce(int.__mul__, shape)
        if offset + size > _SHARD_BYTES:
            _write_shard(folder / f"model-{len(shards):05}.safetensors", shards[-1], offset)
            shards.append({})
            offset = 0
        shards[-1][name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
        total += size
    _write_shard(folder / f"model-{len(shards):05}.safetensors", shards[-1], offset)
    return total


def write_fp8_scaled(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Writes one sparse file as ComfyUI has them; returns the bytes of its data."""
    from export.weights.names.layout import name_table

    table = name_table("transformer", "official")
    entries: dict[str, object] = {}
    scales: dict[str, float] = {}
    offset = 0

    def add(name: str, dtype: str, shape: tuple[int, ...], size: int) -> None:
        nonlocal offset
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size

    for inside, shape in shapes.items():
        name = str(table.from_diffusers(inside))
        count = functools.reduce(int.__mul__, shape)
        if inside.startswith("blocks.") and inside.endswith(".weight") and len(shape) == 2:
            scale = name.removesuffix("weight") + "scale_weight"
            scales[scale] = 0.01 * (1 + len(scales) % 7)
            add(scale, "F32", (), 4)
            add(name, "F8_E4M3", shape, count)
        else:
            add(name, "F16", shape, 2 * count)
    add("scaled_fp8", "F8_E4M3", (0,), 0)
    folder.mkdir(parents=True)
    file = folder / "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors"
    _write_shard(file, entries, offset)
    start = file.stat().st_size - offset
    with file.open("r+b") as stream:
        for name, value in scales.items():
            place: Any = entries[name]
            stream.seek(start + place["data_offsets"][0])
            stream.write(struct.pack("<f", value))
    return offset


def _write_shard(file: Path, entries: Mapping[str, object], byte_count: int) -> None:
    header = json.dumps(entries).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(file, 8 + len(header) + byte_count)


def quantise(folder: Path, block_count: int, form: str, with_moments: bool) -> dict[str, float]:
    """Runs one pass in this process; returns seconds, peak memory, bytes read and bytes written by name."""
    import torch

    from engine.runtime.process_memory import peak_resident_bytes
    from export.quantise.calibration import Calibration, group_size
    from export.quantise.recipes import recipe_for
    from export.quantise.writer import write_tensors
    from export.weights.component_files import ComponentFiles

    source = ComponentFiles("transformer", folder / "transformer").open().shards
    linears = {name.removesuffix(".weight"): source.shape(name) for name in source.names() if name.endswith("weight")}

    def moments(linear: str) -> torch.Tensor:
        """Returns the second moments of slightly correlated inputs."""
        input_count = linears[linear][1]
        size = group_size(input_count)
        return (torch.eye(size) + 0.1).repeat(input_count // size, 1, 1)

    shared = {name: name for name in linears}
    calibration = Calibration("", 1, dict.fromkeys(linears, 4.0), shared, moments if with_moments else None)
    recipe = recipe_for("transformer", form)  # type: ignore[arg-type]
    encodings = {
        name: encoding
        for name, encoding in recipe.encodings(source, calibration).items()
        if not name.startswith("blocks.") or int(name.split(".")[1]) < block_count
    }
    started, started_cpu = time.perf_counter(), time.process_time()
    out = folder / "quantised.safetensors"
    write_tensors(source, encodings, out)
    return {
        "pass_seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - started_cpu,
        "peak_bytes": peak_resident_bytes(),
        "read_bytes": sum(source.tensor(name).byte_count for name in encodings),
        "written_bytes": out.stat().st_size,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(quantise(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5] == "1")))
    else:
        main()
