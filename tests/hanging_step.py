"""A step of the card's benchmark that finds one figure and does not end."""

from __future__ import annotations

import time

from benchmarks.device.attempts import Attempts
from benchmarks.device.steps import Setting


def run(setting: Setting, attempts: Attempts) -> None:
    attempts.figure("before", 1.0)
    time.sleep(3600)
