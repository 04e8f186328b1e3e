"""Threads of jobs: closing drops what waits."""

from __future__ import annotations

from typing import Any

import pytest

from server.runtime.pools import BoundedPool
from tests.jobs.scripted import HandDrivenExecutor, job_workers


def test_closing_waits_for_nobody_and_drops_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(BoundedPool, "close", lambda *pool: closed.extend(pool))
    compressors = HandDrivenExecutor()
    workers = job_workers(None, None, compressors)
    workers.close()
    assert closed == [workers.preparers]
    assert compressors.shutdowns == [(False, True)]
