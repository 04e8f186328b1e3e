"""Leak test: many jobs on the fake engine, many of them ended early, then the server's memory, tasks and files.

    python -m benchmarks.soak --json FILE [--jobs 10000] [--control-jobs 1000] [--seed 0]

The server is a process of its own, and its engine another. Eight callers read clips to the end and compare every byte,
cancel, disconnect, exceed their deadline or stop reading, at random from the seed. After every tenth of the jobs the
callers pause until nothing runs, and the server reports what both processes hold. ``bytes_per_job`` is the
least-squares slope of their memory over these ten points.

A second, shorter control run leaks memory, a file and a task with every job on purpose. If the check misses any of the
three, the benchmark ends without figures.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import subprocess
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from benchmarks.soak_calls import channel_to, play

MAX_BYTES_PER_JOB = 512.0
_LEAKS = ("memory", "file", "task")
_CALLER_COUNT = 8
_TENTHS = 10
_REST_SECONDS = 30.0
_CONTROL_REST_SECONDS = 0.5  # short: the counts of the leaking run never settle
_COUNTED = ("file_count", "shared_memory_count", "task_count", "thread_count")
# Thread pools start their threads on first use.
_ALLOWED_GROWTH = {"thread_count": 8}


@dataclass
class Soak:
    """Observations of one run. ``states`` are the server's reports after each tenth of the jobs, with ``job_count``."""

    ends: Counter[str] = field(default_factory=Counter)
    states: list[dict[str, int]] = field(default_factory=list)
    started: float = 0
    handled: float = 0
    left_jobs: float = 0
    seconds: float = 0

    @property
    def bytes_per_job(self) -> float:
        """Least-squares slope of the memory over the number of jobs."""
        points = [(state["job_count"], state["memory_bytes"]) for state in self.states]
        mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)

    def grown(self, name: str) -> int:
        """Returns the growth of one count from the first tenth to the end."""
        return self.states[-1][name] - self.states[0][name]

    def faults(self, max_bytes_per_job: float) -> list[str]:
        """Returns a message for each leak or wrong answer, beginning with the name of what leaks."""
        found = []
        if self.bytes_per_job > max_bytes_per_job:
            found.append(f"memory: grows by {self.bytes_per_job:.0f} bytes a job")
        found += [
            f"{name.removesuffix('_count')}: {self.grown(name)} more"
            for name in _COUNTED
            if self.grown(name) > _ALLOWED_GROWTH.get(name, 0)
        ]
        if self.started != self.handled:
            found.append(f"calls: {self.started:.0f} started, {self.handled:.0f} handled")
        if self.left_jobs:
            found.append(f"jobs: {self.left_jobs:.0f} left")
        if any(self.ends[end] for end in ("wrong frames", "hung", "INTERNAL", "UNKNOWN", "UNAVAILABLE")):
            found.append(f"answers: {dict(self.ends)}")
        return found


def main() -> None:
    """Runs the control and the soak, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs of the run")
    parser.add_argument("--control-jobs", type=int, default=1_000, help="jobs of the run that leaks on purpose")
    parser.add_argument("--seed", type=int, default=0, help="seed of the callers' behaviour")
    options = parser.parse_args()
    control = run(options.control_jobs, options.seed, leaks=_LEAKS)
    missed = set(_LEAKS) - {fault.partition(":")[0] for fault in control.faults(MAX_BYTES_PER_JOB)}
    if missed:
        raise SystemExit(f"the control run's deliberate leaks were not found: {', '.join(sorted(missed))}")
    soak = run(options.jobs, options.seed)
    figures: dict[str, float] = {
        "job_count": options.jobs,
        "seed": options.seed,
        "minutes": round(soak.seconds / 60, 1),
        "bytes_per_job": round(soak.bytes_per_job, 1),
        "memory_first_bytes": soak.states[0]["memory_bytes"],
        "memory_last_bytes": soak.states[-1]["memory_bytes"],
        **{f"{name.removesuffix('_count')}_growth": soak.grown(name) for name in _COUNTED},
        "started": soak.started,
        "handled": soak.handled,
        **{f"ended_{end.lower()}": count for end, count in sorted(soak.ends.items())},
        "control_bytes_per_job": round(control.bytes_per_job, 1),
        "control_faults_found": len(control.faults(MAX_BYTES_PER_JOB)),
    }
    report = Report("soak", figures, {"bytes_per_job": MAX_BYTES_PER_JOB})
    report.show()
    report.write(options.json)
    if faults := soak.faults(MAX_BYTES_PER_JOB):
        raise SystemExit("\n".join(faults))


def run(job_count: int, seed: int, leaks: tuple[str, ...] = ()) -> Soak:
    """Runs ``job_count`` jobs against a fresh server; ``leaks`` names what it leaks on purpose."""
    process = spawn("benchmarks.soak_side", *leaks)
    try:
        target, metrics_address = first_line(process).split()
        server = _SoakServer(process, target, f"http://{metrics_address}/metrics")
        return asyncio.run(_soak(server, job_count, seed, _CONTROL_REST_SECONDS if leaks else _REST_SECONDS))
    finally:
        process.communicate()


@dataclass(frozen=True)
class _SoakServer:
    process: subprocess.Popen[str]
    target: str
    metrics_url: str


async def _soak(server: _SoakServer, job_count: int, seed: int, rest_seconds: float) -> Soak:
    soak = Soak()
    draw = random.Random(seed)
    began_at = time.perf_counter()
    for tenth in range(_TENTHS):
        last = job_count * (tenth + 1) // _TENTHS
        jobs = [random.Random(draw.randrange(2**32)) for _ in range(sum(soak.ends.values()), last)]
        async with channel_to(server.target) as channel:
            await asyncio.gather(*(_caller(jobs, channel, server.target, soak.ends) for _ in range(_CALLER_COUNT)))
        gc.collect()  # connections of callers that disconnected are closed by the garbage collector
        soak.started, soak.handled, soak.left_jobs = await _at_rest(server.metrics_url)
        state = await _state_at_rest(server.process, soak.states[0] if soak.states else None, rest_seconds)
        soak.states.append({"job_count": last, **state})
    soak.seconds = time.perf_counter() - began_at
    return soak


async def _caller(jobs: list[random.Random], channel: grpc.aio.Channel, target: str, ends: Counter[str]) -> None:
    while jobs:
        ends[await play(jobs.pop(), channel, target)] += 1


async def _at_rest(metrics: str) -> tuple[float, float, float]:
    """Waits until the metrics settle; returns calls started, calls handled and jobs left."""
    until = time.perf_counter() + _REST_SECONDS
    while True:
        started, handled, left = await asyncio.to_thread(_scrape, metrics)
        if (started == handled and not left) or time.perf_counter() > until:
            return started, handled, left
        await asyncio.sleep(0.02)


def _scrape(metrics: str) -> tuple[float, float, float]:
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with no_proxy.open(metrics) as response:
        text = response.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(*names: str) -> float:
        return sum(sample.value for sample in samples if sample.name in names)

    return (
        total("grpc_server_started_total"),
        total("grpc_server_handled_total"),
        total("stillcue_queue_jobs", "stillcue_running_jobs"),
    )


async def _state_at_rest(
    process: subprocess.Popen[str], first: dict[str, int] | None, rest_seconds: float
) -> dict[str, int]:
    """Returns the server's report, waiting up to ``rest_seconds`` for its counts to settle as connections close."""
    assert process.stdin is not None
    until = time.perf_counter() + (rest_seconds if first else 1.0)
    while True:
        process.stdin.write("\n")
        process.stdin.flush()
        state: dict[str, int] = json.loads(await asyncio.to_thread(first_line, process))
        has_settled = first is not None and all(
            state[name] <= first[name] + _ALLOWED_GROWTH.get(name, 0) for name in _COUNTED
        )
        if has_settled or time.perf_counter() > until:
            return state
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
