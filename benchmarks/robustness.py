"""Sends thousands of generated pictures and prompts to a real server: no internal error, no crash, valid answers.

    python -m benchmarks.robustness --json FILE [--count 2000] [--bundle pocket/model] [--seed 0]

Prompts have characters of every Unicode plane, control characters, mixed scripts, lengths from 0 to 100 kB; pictures
have every mode and are truncated, corrupted or animated; numbers are out of range (``tests/hostile_inputs.py``). Each
answer must be a report with valid spans and boxes, or an error that names a field. Exits with 1 at the first other
answer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.report import Report
from stillcue.proxies import DIRECT
from stillcue.v1 import match_pb2
from tests.hostile_inputs import answer_to, requests

_ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def serving_process(*arguments: str) -> Iterator[str]:
    """Runs a server in a process of its own on free ports and gives its address. Raises if the process ended early."""
    free = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "warning")
    command = [sys.executable, "-m", "server", *free, *arguments]
    environment = {"PYTHONPATH": str(_ROOT / "clients" / "python")}
    with subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = dict(word.split("=", 1) for word in process.stdout.readline().split() if "=" in word)
        try:
            yield words["grpc"]
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}")
        finally:
            process.terminate()


def send(count: int, start: int, channel: grpc.Channel) -> Counter[str]:
    """Sends the requests and returns the number of answers by status. Raises ``AssertionError`` for an invalid one."""
    seen: Counter[str] = Counter()

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests)
    def each(request: match_pb2.ScoreMatchRequest) -> None:
        seen[answer_to(request, channel)] += 1

    each()
    return seen


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends all requests and prints the number of answers by status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--bundle", type=Path, default=_ROOT / "pocket" / "model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with (
        serving_process("--bundle", str(options.bundle)) as target,
        grpc.insecure_channel(target, options=DIRECT) as channel,
    ):
        seen = send(options.count, options.seed, channel)
    figures = {
        "inputs": float(seen.total()),
        **{f"answered_{name.lower()}": float(seen[name]) for name in sorted(seen)},
    }
    report = Report("robustness", figures, floors={"inputs": float(options.count)})
    report.show()
    report.write(options.json)


if __name__ == "__main__":
    main()
