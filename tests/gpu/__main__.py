"""``python -m tests.gpu --json FILE``: runs the tests that need a real GPU and writes a report.

Compiles small bundles for this machine's GPU, compares every stage with ONNX Runtime, and measures loading, unloading,
prefetching, cancelling and memory. Takes a few minutes and 4 GB of GPU memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from engine.api.errors import DeviceUnavailable
from engine.runtime.gpu import present_gpu
from tests.gpu.report import REPORT_VARIABLE


def main() -> int:
    """Runs the tests; returns pytest's exit status, or 1 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("out/gpu.json"), help="where the report goes")
    options = parser.parse_args()
    try:
        card = present_gpu()
    except DeviceUnavailable as error:
        sys.stderr.write(f"gpu-test: {error}\n")
        return 1
    sys.stdout.write(f"{card.name} ({card.compute_capability}), CUDA {card.driver_version} driver\n")
    os.environ[REPORT_VARIABLE] = str(options.json.resolve())
    status = pytest.main(["-p", "no:xdist", "-v", str(Path(__file__).parent)])
    if options.json.is_file():
        sys.stdout.write(f"the report is {options.json}\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
