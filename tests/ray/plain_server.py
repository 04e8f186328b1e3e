"""``python -m tests.ray.plain_server FLAG...``: a server with the steered engine of the replicas."""

from __future__ import annotations

import asyncio
import os
import sys

from server.lifecycle.run import run
from server.settings import Settings
from tests.ray.engines import launch_steered


def main() -> None:
    settings = Settings.load(sys.argv[1:], {"STILLCUE_VIDEO_ENCODERS": "none"})
    os._exit(0 if asyncio.run(run(settings, launch_steered(settings))) else 3)


if __name__ == "__main__":
    main()
