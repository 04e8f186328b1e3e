"""An engine in a process of its own: a crash, a hang or a lack of memory costs one job, not the server.

``engine`` is what a server uses; it passes calls to the ``process`` that the ``supervisor`` keeps running. ``child``
is what runs there. They talk through a ``channel``: ``messages`` through a pipe, pictures through the shared memory of
``arena``.
"""

from __future__ import annotations

from engine.worker.engine import WorkerEngine
from engine.worker.process import LossReason
from engine.worker.supervisor import WorkerSettings, WorkerWatcher

__all__ = ["LossReason", "WorkerEngine", "WorkerSettings", "WorkerWatcher"]
