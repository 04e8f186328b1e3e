"""Opens the engine that the settings name, in the process that they name. The engine's own process imports this too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine import fake_engine, launch_worker_engine, open_engine
from engine.api.reuse import StepReuse
from engine.api.settings import EngineSettings, WorkerSettings
from server.observability.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.settings import Settings


def launch_engine(settings: Settings) -> Callable[[], Engine]:
    """Returns the function that opens the engine; an engine in its own process begins to open at once."""
    opener = partial(_open_here, settings)
    if settings.engine_process == "server":
        return opener
    set_up = partial(configure_logging, settings.log_level, settings.log_format)
    return launch_worker_engine(
        opener, WorkerSettings(settings.max_step_seconds, settings.engine_restart_seconds, set_up)
    )


def _open_here(settings: Settings) -> Engine:
    reuse = StepReuse(settings.step_reuse)
    if settings.bundle is None or settings.engine == "fake":
        return fake_engine(reuse)
    return open_engine(
        settings.bundle,
        EngineSettings(
            settings.engine_thread_count,
            settings.text_cache_entry_count,
            settings.memory_budget_bytes,
            device=settings.device,
            reuse=reuse,
            verify_digests="always" if settings.verify_digests == "always" else "once",
            picture_cache_bytes=settings.picture_cache_bytes,
            given_frame_count=settings.given_frame_count,
        ),
    )
