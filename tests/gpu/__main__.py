"""``python -m tests.gpu --json FILE``: everything that only a real card can show, and a report of it.

Compiles small bundles for the card of this machine, runs every stage on it beside ONNX Runtime, and measures loading,
unloading, prefetching, cancelling and memory. Takes a few minutes and 4 GB of the card.
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
    """Returns pytest's exit status, or 1 where there is no card."""
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
