"""``python -m benchmarks.capacity.side CALL_SECONDS FLAG...``: a server whose engine sleeps for each graph call."""

from __future__ import annotations

import asyncio
import sys

from engine.testing.fake_engine import FakeEngine
from server.lifecycle.run import run
from server.settings import Settings


def main() -> None:
    """Serves until a signal."""
    call_seconds, *flags = sys.argv[1:]
    asyncio.run(run(Settings.load(flags, {}), lambda: FakeEngine(call_seconds=float(call_seconds))))


if __name__ == "__main__":
    main()
