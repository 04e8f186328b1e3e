"""Overhead of serving: clips over gRPC with the engine in its worker process, compared with the engine in process.

    python -m benchmarks.serving --json FILE [--bundle pocket/model] [--repeats 9] [--calls 200]

Both sides generate the same clips, take turns and alternate in going first; ``serving_ratio`` is the median over pairs,
server / engine, of the seconds from the request to the last event. The first take of each side is not counted. The
frames of every take are compared: if they differ, nothing is reported.

Then ScoreMatch and health are called ``--calls`` times each on the idle server, and as often while it generates clips
without a break: ``*_p99_ratio`` is loaded / idle.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import stillcue
from benchmarks.processes import ROOT, first_line, spawn
from benchmarks.report import Report
from benchmarks.serving_side import PICTURE, PROMPT, STEP_COUNT
from stillcue.proxies import DIRECT

_TARGETS = {"serving_ratio": 1.03, "score_match_p99_ratio": 3.0, "health_p99_ratio": 3.0}
_FREE = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "error")
_CALLS_OF_A_TAKE = 20


def main() -> None:
    """Measures both sides, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--bundle", type=Path, default=ROOT / "pocket" / "model", help="default: the embedded model")
    parser.add_argument("--repeats", type=int, default=9, help="counted takes of each side")
    parser.add_argument("--calls", type=int, default=200, help="calls of each kind, idle and under load")
    options = parser.parse_args()
    with _process("server", "--bundle", str(options.bundle), *_FREE) as (_, ready):
        address = dict(word.split("=", 1) for word in ready.split() if "=" in word)["grpc"]
        with (
            stillcue.Client(address) as client,
            _process("benchmarks.serving_side", str(options.bundle)) as (engine, _),
        ):
            figures = _cost(client, engine, options.repeats)
        figures |= _latency(address, options.calls)
    report = Report("serving", {**figures, "step_count": STEP_COUNT, "repeat_count": options.repeats}, _TARGETS)
    report.show()
    report.write(options.json)


def _cost(client: stillcue.Client, engine: subprocess.Popen[str], repeat_count: int) -> dict[str, float]:
    pairs = []
    for repeat in range(repeat_count + 1):
        if repeat % 2:
            served, called = _serve(client, repeat), _call(engine, repeat)
        else:
            called, served = _call(engine, repeat), _serve(client, repeat)
        if served[1] != called[1]:
            raise SystemExit("the frames of the two sides differ: their times do not compare")
        pairs.append((served[0], called[0]))
    counted = pairs[1:]
    return {
        "serving_ratio": statistics.median(served / called for served, called in counted),
        "serving_best_ratio": min(served for served, _ in counted) / min(called for _, called in counted),
        "served_seconds": statistics.median(served for served, _ in counted),
        "called_seconds": statistics.median(called for _, called in counted),
    }


def _serve(client: stillcue.Client, seed: int) -> tuple[float, str]:
    digest = hashlib.sha256()
    started = time.perf_counter()
    events = list(
        client.generate(
            PICTURE,
            PROMPT,
            step_count=STEP_COUNT,
            seed=seed,
            match=stillcue.MatchMode.OFF,
            frame_encoding=stillcue.FrameEncoding.RAW_RGB,
        )
    )
    seconds = time.perf_counter() - started
    for event in events:
        if isinstance(event, stillcue.Frame):
            digest.update(event.data)
    return seconds, digest.hexdigest()


def _call(engine: subprocess.Popen[str], seed: int) -> tuple[float, str]:
    assert engine.stdin is not None
    engine.stdin.write(f"{seed}\n")
    engine.stdin.flush()
    seconds, digest = first_line(engine).split()
    return float(seconds), digest


def _latency(address: str, call_count: int) -> dict[str, float]:
    """Returns latency figures of idle and loaded takes, measured in turns so that drift affects both."""
    numbers = itertools.count()
    with stillcue.Client(address) as client, grpc.insecure_channel(address, options=DIRECT) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        kinds: dict[str, Callable[[], object]] = {
            "score_match": lambda: client.score_match(PICTURE, f"{PROMPT} Take {next(numbers)}."),
            "health": lambda: health.Check(health_pb2.HealthCheckRequest()),
        }
        for ask in kinds.values():
            ask()
        idle: dict[str, list[float]] = {name: [] for name in kinds}
        loaded: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(max(1, call_count // _CALLS_OF_A_TAKE)):
            for seconds, load in ((idle, _nothing), (loaded, _clips)):
                with load(address):
                    for name, ask in kinds.items():
                        seconds[name] += [_seconds_of(ask) for _ in range(_CALLS_OF_A_TAKE)]
    figures = {}
    for name in kinds:
        figures[f"{name}_p99_ratio"] = _p99(loaded[name]) / _p99(idle[name])
        figures[f"{name}_median_ratio"] = statistics.median(loaded[name]) / statistics.median(idle[name])
        figures[f"{name}_idle_p99_seconds"] = _p99(idle[name])
        figures[f"{name}_loaded_p99_seconds"] = _p99(loaded[name])
    return {**figures, "call_count": call_count}


@contextmanager
def _nothing(_address: str) -> Iterator[None]:
    yield


@contextmanager
def _clips(address: str) -> Iterator[None]:
    """Keeps two callers generating clips, so that a job always waits behind the running one."""
    has_ended = threading.Event()
    runs = [threading.Event() for _ in range(2)]

    def make(runs_now: threading.Event) -> None:
        with stillcue.Client(address) as client:
            while not has_ended.is_set():
                with client.generate(PICTURE, PROMPT, step_count=STEP_COUNT) as events:
                    for _ in events:
                        runs_now.set()
                        if has_ended.is_set():
                            break

    threads = [threading.Thread(target=make, args=(runs_now,)) for runs_now in runs]
    for thread in threads:
        thread.start()
    for runs_now in runs:
        runs_now.wait()
    try:
        yield
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()


def _seconds_of(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs a process; gives it and its ready line, and ends it after the block."""
    process = spawn(module, *arguments)
    try:
        yield process, first_line(process)
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
