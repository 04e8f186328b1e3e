"""A true-size A14B checkpoint on disk, with experts of random 8-bit floats, and ranges as calibration would write them.

14.5 GB for both experts together, which are one file by two names; the other components are sparse.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.full_size import UMT5_XXL, write_sparse_weights
from benchmarks.processes import ROOT
from benchmarks.quantise_stream import expert_shapes, write_fp8_scaled
from benchmarks.true_size import write_configurations

_EXPERTS = ("high", "low")
_TOKENIZER = ROOT / "pocket" / "model" / "checkpoint" / "tokenizer"
_CHUNK_BYTES = 64 * 1024 * 1024
_NOT_A_NUMBER = 0x7F  # in E4M3, with either sign
_LARGEST_HALF = 0.05
# Stands for the largest input of a linear.
_INPUT_RANGE = 4.0


def write_checkpoint(folder: Path, block_count: int, *, is_random: bool) -> None:
    """Writes the checkpoint, or leaves it as it is if a former call finished it."""
    done = folder / "finished.json"
    wanted = json.dumps({"block_count": block_count, "is_random": is_random})
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_configurations(folder, "a14b", block_count)
    _write_sparse_components(folder)
    write_tokenizer(folder / "tokenizer")
    first, second = (folder / name / "expert.safetensors" for name in _EXPERTS)
    write_fp8_scaled(first.parent, expert_shapes(block_count))
    next(first.parent.glob("*.safetensors")).rename(first)
    if is_random:
        fill(first)
    second.parent.mkdir()
    os.link(first, second)
    for name in ("transformer", "transformer_2"):
        shutil.rmtree(folder / name)
    done.write_text(wanted, encoding="utf-8")


def write_tokenizer(folder: Path) -> None:
    """Writes pocket's tokenizer with as many tokens as umT5's, most of which no text has."""
    shutil.copytree(_TOKENIZER, folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary += [[f"<unused {index}>", -100.0] for index in range(len(vocabulary), UMT5_XXL["vocab_size"])]
    file.write_text(json.dumps(content), encoding="utf-8")


def write_ranges(folder: Path, component_options: Sequence[str]) -> None:
    """Writes the files of a calibration of the checkpoint that these options of ``python -m export`` name."""
    import argparse

    from export.options import add_component_options
    from export.options import component_options as parsed
    from export.quantise.calibration import Calibration, calibration_digest, save_calibration
    from export.weights.checkpoint import Checkpoint
    from export.weights.layouts.opening import open_checkpoint

    parser = argparse.ArgumentParser()
    add_component_options(parser)
    checkpoint = open_checkpoint(None, parsed(parser.parse_args(list(component_options))))
    read = checkpoint.digest()
    checkpoint_class: Any = Checkpoint
    checkpoint_class.digest = lambda _: read  # the export need not read 40 GB again
    for name in ("transformer", "transformer_2"):
        linears = [weight.removesuffix(".weight") for weight in checkpoint.shards(name).names()]
        ranges = dict.fromkeys(linears, _INPUT_RANGE)
        save_calibration(folder, name, Calibration(calibration_digest(read), 1, ranges), {})


def _write_sparse_components(folder: Path) -> None:
    from export.weights.layouts.opening import open_checkpoint

    checkpoint = open_checkpoint(folder)
    write_sparse_weights(checkpoint.text_encoder(), folder / "text_encoder" / "model.safetensors", "F16")
    write_sparse_weights(checkpoint.vae(), folder / "vae" / "diffusion_pytorch_model.safetensors")


def fill(file: Path) -> None:
    """Replaces the zeros of a safetensors file by random numbers; single scales stay."""
    generator = np.random.default_rng(0)
    with file.open("r+b") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        entries = json.loads(stream.read(length))
        for entry in entries.values():
            first, last = entry["data_offsets"]
            stream.seek(8 + length + first)
            for start in range(first, last, _CHUNK_BYTES):
                count = min(_CHUNK_BYTES, last - start)
                if entry["dtype"] == "F8_E4M3":
                    drawn = np.frombuffer(generator.bytes(count), np.uint8).copy()
                    drawn[(drawn & _NOT_A_NUMBER) == _NOT_A_NUMBER] = 0
                    stream.write(drawn.data)
                elif entry["dtype"] == "F16":
                    halves = (generator.random(count // 2, np.float32) * 2 - 1) * _LARGEST_HALF
                    stream.write(halves.astype(np.float16).data)
                else:
                    break
