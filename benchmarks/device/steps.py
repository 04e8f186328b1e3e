"""The steps of the device benchmark, in order, with the time that each may take. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """The device of the steps, and the size of their models: the official one or a small one."""

    device: str
    is_tiny: bool


@dataclass(frozen=True)
class Step:
    """``module`` has ``run(setting, attempts)``. A step is ended after ``most_seconds``."""

    title: str
    module: str
    least_seconds: float
    most_seconds: float


STEPS: Mapping[str, Step] = {
    "0": Step("card, copies, products and attention", "benchmarks.device.ceilings", 15, 75),
    "1": Step("pocket's bundle through the engine, and on the CPU", "benchmarks.device.pocket", 20, 120),
    "2": Step("one A14B expert, bf16, 832x480x81", "benchmarks.device.expert", 60, 260),
    "3": Step("recurrent autoencoder, 832x480x81", "benchmarks.device.autoencoder", 30, 100),
    "5": Step("umT5-xxl, bf16, 512 tokens", "benchmarks.device.text", 15, 60),
    "6": Step("rounding of an expert's bf16 against float32", "benchmarks.device.rounding", 40, 120),
    "4": Step("eight layers of the expert's width in ONNX Runtime, fp16", "benchmarks.device.layers", 30, 150),
}
