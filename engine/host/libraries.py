"""Environment variables that libraries read when they are imported: they send nothing, and take no more than they may.

``engine/__init__.py`` calls ``configure_libraries``, so the variables are set before any module below ``engine`` is
imported. The packages that import the same libraries without the engine import ``engine`` first.
"""

from __future__ import annotations

import os

from engine.host.processors import Processors

# ONNX Runtime 1.32 for Linux writes a device id and a database below the user's cache folder as it is imported, looks
# up its maker's host and uploads from there. Only the variable prevents that; a call after the import comes too late.
# The libraries of Hugging Face look for newer files of a model, and report how they are used.
SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


def configure_libraries() -> None:
    """Sets ``SWITCHES``, whatever was set before, and the threads of BLAS and torch where processors are limited.

    ``OMP_NUM_THREADS`` is kept if it is set; without a limit the libraries choose for themselves.
    """
    os.environ.update(SWITCHES)
    processors = Processors.of_this_process()
    if processors.is_limited:
        os.environ.setdefault("OMP_NUM_THREADS", str(processors.count))
