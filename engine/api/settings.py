"""Settings with which an engine and its worker process are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.api.reuse import StepReuse

RuntimeName = Literal["auto", "onnxruntime", "tensorrt"]
VerifyDigests = Literal["once", "always"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of an engine on this machine.

    ``thread_count`` 0 means one thread per core, or fewer where affinity or a quota of the container allow fewer.
    ``runtime`` ``auto`` takes TensorRT if the bundle holds plans for the GPU of this machine, else ONNX Runtime.
    ``kernel_cache_folder`` None takes the user's cache folder, and ``memory_budget_bytes`` None the default of
    ``engine.memory.plan.default_budget_bytes``. ``device`` is ``auto``, ``cpu``, ``cuda``, or one card as ``cuda:1`` or
    ``cuda:GPU-<uuid>``; where a card is named and cannot be used, opening fails instead of taking the CPU. ``reuse``
    holds for jobs that ask for none. ``text_cache_entry_count`` encoded prompts and ``picture_cache_bytes`` of encoded
    pictures are kept in host memory for later jobs. ``verify_digests`` ``always`` reads every file at each opening;
    with ``once`` the cache folder remembers which files matched, and these are read again only after a change. A
    segment of a chain takes ``given_frame_count`` frames, 4n + 1, from the one before it; of TI2V-5B only 1.
    """

    thread_count: int = 0
    text_cache_entry_count: int = 64
    memory_budget_bytes: int | None = None
    runtime: RuntimeName = "auto"
    kernel_cache_folder: Path | None = None
    device: str = "auto"
    reuse: StepReuse = StepReuse.OFF
    picture_cache_bytes: int = 256 * 2**20
    verify_digests: VerifyDigests = "once"
    given_frame_count: int = 1


def _no_set_up() -> None:
    """Default of ``WorkerSettings.set_up``; a module function, because it must be picklable."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of the supervision of a worker process.

    ``max_step_seconds``: a graph call, including the loading before it, that takes longer ends the worker.
    ``restart_seconds``: pause before a lost worker is restarted; doubled with each loss that follows soon. ``set_up``
    runs first in the worker, for example to configure its log; it must be picklable.
    """

    max_step_seconds: float = 600.0
    restart_seconds: float = 1.0
    set_up: Callable[[], None] = _no_set_up
