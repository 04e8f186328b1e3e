"""``python -m benchmarks.device --json FILE``: every step in a process of its own, the record rewritten as they go.

A step that fails, hangs or takes the card's context with it costs its own figures alone. ``--tiny --device cpu`` runs
the same code on small models in less than a minute.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from benchmarks.device.isolation import run_apart
from benchmarks.device.record import Record
from benchmarks.device.steps import STEPS, Setting


def main() -> None:
    """Runs the steps that were chosen and fit into the budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for all steps together")
    parser.add_argument("--steps", default=",".join(STEPS), help="numbers of steps, with commas")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models: tries the code, measures nothing")
    parser.add_argument("--continue", action="store_true", dest="is_continued", help="keep other steps of the file")
    options = parser.parse_args()
    chosen = options.steps.split(",")
    unknown = [number for number in chosen if number not in STEPS]
    if unknown:
        parser.error(f"--steps: no step {', '.join(unknown)}; there are {', '.join(STEPS)}")
    if options.device == "cpu":
        os.environ["OMP_NUM_THREADS"] = "1"  # threads of torch that wait for each other spin
    setting = Setting(options.device, options.tiny)
    record = Record(options.json, is_continued=options.is_continued, is_tiny=options.tiny)
    deadline = time.monotonic() + options.budget
    for number in chosen:
        step = STEPS[number]
        record.begin(number, step.title)
        left = deadline - time.monotonic()
        if left < step.least_seconds:
            reason = f"{left:.0f} s of the budget were left, the step takes at least {step.least_seconds:.0f}"
            record.add(number, "skipped", "all", reason)
        else:
            run_apart(number, step, setting, left if options.tiny else min(left, step.most_seconds), record)
        record.end(number)


if __name__ == "__main__":
    main()
