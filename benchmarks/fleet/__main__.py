"""Three servers behind HAProxy, on one machine.

    python -m benchmarks.fleet --json FILE [--only balance,kills,rolling,cost]

* ``balance``: 100 and 300 jobs of 20 callers. On the fake engine every job takes 0.9 s, so the ideal time is known;
  ``*_ratio`` is ideal / measured. On pocket the servers share the processors of this machine; ``*_busy_ratio`` is the
  work of all jobs / (servers x time). ``crowd_*``: 40 jobs at once for 3 servers and 8 places in the queue.
* ``kills``: 50 times SIGKILL for the server that runs a job, each after another of its events, while 3 callers go on.
  Events are compared with those of an undisturbed run; a job that goes on elsewhere has begun twice. A server that has
  just come up may have two jobs for a moment, and a job may have ended as its last events are read: such jobs of
  others are counted by ``kills_other_on_killed_server_count``.
* ``rolling``: SIGTERM for each server in turn, twice, under the load of 6 callers that wait when servers are busy.
* ``cost``: one server, through HAProxy and direct, in turns: ``job_*_ratio`` is the time of a job of 2.7 s,
  ``raw_*_ratio`` the frames a second of an engine that takes no time. Medians over pairs.

With ``--only`` the other figures of the file stay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.fleet.balance import JOB_COUNTS, balance
from benchmarks.fleet.cost import SIZES, cost
from benchmarks.fleet.kills import kills
from benchmarks.fleet.rolling import rolling
from benchmarks.report import Report

_PARTS = {"balance": balance, "kills": kills, "rolling": rolling, "cost": cost}
_FLOORS = {
    **{f"fake_{count}_jobs_ratio": 0.95 for count in JOB_COUNTS},
    **{f"pocket_{count}_jobs_busy_ratio": 0.95 for count in JOB_COUNTS},
    **{f"raw_{width_px}x{height_px}_ratio": 0.8 for width_px, height_px in SIZES},
    "kills_completed_count": 50,
    "kills_identical_count": 50,
}
_TARGETS = {
    **{f"job_{width_px}x{height_px}_ratio": 1.05 for width_px, height_px in SIZES},
    **{f"{engine}_{count}_jobs_refusal_count": 0 for engine in ("fake", "pocket") for count in JOB_COUNTS},
    "kills_other_failed_count": 0,
    "kills_other_begun_again_count": 0,
    "kills_other_wrong_frames_count": 0,
    "rolling_failed_count": 0,
    "rolling_unclean_exit_count": 0,
}


def main() -> None:
    """Measures the chosen parts, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--only", default=",".join(_PARTS), help="parts, with commas")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := [part for part in parts if part not in _PARTS]:
        parser.error(f"--only: no part {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    figures: dict[str, float] = json.loads(options.json.read_text())["figures"] if options.json.is_file() else {}
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            figures |= asyncio.run(_PARTS[part](Path(folder)))
        report = Report("fleet", figures, _TARGETS, _FLOORS)
        report.write(options.json)
    report.show()


if __name__ == "__main__":
    main()
