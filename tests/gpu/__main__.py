"""``python -m tests.gpu --json FILE``: runs the tests that need a real GPU and writes a report.

Every runtime that this machine offers for the GPU is tested: TensorRT for RTX on RTX cards, ONNX Runtime on any card.
Compares every stage and a clip with ONNX Runtime on the CPU, and measures loading, unloading, prefetching, cancelling
and memory. Takes a few minutes and 4 GB of GPU memory. ``--device cpu`` tries the tests without a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from engine.api.errors import DeviceUnavailable
from tests.gpu.report import REPORT_VARIABLE
from tests.gpu.roads import DEVICE_VARIABLE, find_offer


def main() -> int:
    """Runs the tests; returns pytest's exit status, or 1 without a GPU or a runtime for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("out/gpu.json"), help="where the report goes")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tries the tests on the CPU")
    options = parser.parse_args()
    try:
        offer = find_offer(options.device)
    except DeviceUnavailable as error:
        sys.stderr.write(f"gpu-test: {error}\n")
        return 1
    card = offer.card
    sys.stdout.write(f"{card.name} ({card.compute_capability}), CUDA {card.driver_version} driver\n")
    for fault in offer.faults:
        sys.stdout.write(f"not tested: {fault}\n")
    if not offer.roads:
        sys.stderr.write(f"gpu-test: no runtime runs on {card.name}\n")
        return 1
    os.environ[REPORT_VARIABLE] = str(options.json.resolve())
    os.environ[DEVICE_VARIABLE] = options.device
    status = pytest.main(["-p", "no:xdist", "-v", str(Path(__file__).parent)])
    if options.json.is_file():
        sys.stdout.write(f"the report is {options.json}\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
