"""Mutated requests over a real socket: none may cause a server error, and the server's memory must not grow.

    python -m benchmarks.fuzz --json FILE [--requests 12000] [--seed 0]

Half of the requests are messages drawn by hypothesis (NaN and infinities, bytes that are no picture, decompression
bombs, any text), half are valid messages with random bytes changed. They go to the methods of the service, to health
and to a method that does not exist. The last request is 512 MiB of zeros, compressed. Every status is allowed except
INTERNAL, UNKNOWN, UNAVAILABLE, DATA_LOSS and DEADLINE_EXCEEDED. The server runs the fake engine in a process of its
own, whose memory is read from /proc.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from benchmarks.fuzz_requests import GENERATE, SCORE_MATCH, changed, valid_messages
from benchmarks.processes import ROOT
from benchmarks.report import Report
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2

MAX_GROWTH_BYTES = 64 * 2**20
FAULTS = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"})
_TIMEOUT_SECONDS = 60.0
_SERVICE = "/stillcue.v1.StillcueService/"
_METHODS = (f"{_SERVICE}Generate", f"{_SERVICE}ScoreMatch", f"{_SERVICE}GetCapabilities", f"{_SERVICE}Nothing")
_OTHERS = ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")


@dataclass
class Fuzz:
    """Number of calls by status; bytes of the server's memory before, after and at its peak."""

    ends: Counter[str] = field(default_factory=Counter)
    memory_first_bytes: int = 0
    memory_last_bytes: int = 0
    memory_peak_bytes: int = 0
    is_alive: bool = False

    @property
    def fault_count(self) -> int:
        """Number of calls that ended with a status that means a server error."""
        return sum(count for end, count in self.ends.items() if end in FAULTS)


class FuzzServer:
    """A server in a process of its own, and raw calls to it with any bytes."""

    def __init__(self, process: subprocess.Popen[str], channel: grpc.Channel) -> None:
        self._process = process
        self._channel: Any = channel  # typed stubs ask for serializers; raw bytes need none

    def call(self, method: str, data: bytes, compression: grpc.Compression | None = None) -> str:
        """Makes one call, reads its stream to the end and returns the status name."""
        try:
            answers = self._channel.unary_stream(method)(data, timeout=_TIMEOUT_SECONDS, compression=compression)
            for _ in answers:
                pass
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    def memory_bytes(self, name: str) -> int:
        """Returns ``VmRSS`` or ``VmHWM`` of the server in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None


def main() -> None:
    """Sends the requests, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--requests", type=int, default=12_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    options = parser.parse_args()
    fuzz = run(options.requests, options.seed, bomb_bytes=512 * 2**20)
    figures: dict[str, float] = {
        "request_count": sum(fuzz.ends.values()),
        "seed": options.seed,
        "fault_count": fuzz.fault_count,
        "memory_growth_bytes": fuzz.memory_last_bytes - fuzz.memory_first_bytes,
        "memory_peak_growth_bytes": fuzz.memory_peak_bytes - fuzz.memory_first_bytes,
        **{f"ended_{end.lower()}": count for end, count in sorted(fuzz.ends.items())},
    }
    targets = {"fault_count": 0, "memory_growth_bytes": MAX_GROWTH_BYTES, "memory_peak_growth_bytes": MAX_GROWTH_BYTES}
    report = Report("fuzz", figures, targets)
    report.show()
    report.write(options.json)
    if fuzz.fault_count or not fuzz.is_alive:
        raise SystemExit(f"{fuzz.fault_count} requests were the server's fault: {dict(fuzz.ends)}")


def run(request_count: int, seed: int, bomb_bytes: int) -> Fuzz:
    """All requests against a fresh server."""
    fuzz = Fuzz()
    with _server() as server:
        for message in valid_messages():
            for _ in range(20):  # every thread has worked once
                server.call(_method_of(message), message.SerializeToString())
        fuzz.memory_first_bytes = server.memory_bytes("VmRSS")
        _messages(server, fuzz, request_count // 2, seed)
        _bytes(server, fuzz, request_count - request_count // 2, seed)
        bomb = generate_pb2.GenerateRequest(prompt="\x00").SerializeToString() + bytes(bomb_bytes)
        fuzz.ends[server.call(_METHODS[0], bomb, grpc.Compression.Gzip)] += 1
        fuzz.memory_last_bytes = server.memory_bytes("VmRSS")
        fuzz.memory_peak_bytes = server.memory_bytes("VmHWM")
        fuzz.is_alive = server.is_alive
    return fuzz


def _messages(server: FuzzServer, fuzz: Fuzz, count: int, seed: int) -> None:
    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(GENERATE | SCORE_MATCH)
    def send(message: Any) -> None:
        fuzz.ends[server.call(_method_of(message), message.SerializeToString())] += 1

    send()


def _bytes(server: FuzzServer, fuzz: Fuzz, count: int, seed: int) -> None:
    draw = random.Random(seed)
    messages = [(_method_of(message), message.SerializeToString()) for message in valid_messages()]
    for _ in range(count):
        method, data = draw.choice(messages)
        if draw.random() >= 0.9:
            method = draw.choice((*_METHODS, *_OTHERS))
        fuzz.ends[server.call(method, changed(draw, data))] += 1


def _method_of(message: Message) -> str:
    return _METHODS[0] if isinstance(message, generate_pb2.GenerateRequest) else _METHODS[1]


@contextmanager
def _server() -> Iterator[FuzzServer]:
    free = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "error")
    command = [sys.executable, "-m", "server", "--engine", "fake", *free]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+)", process.stdout.readline())
        assert ready is not None
        options = [*DIRECT, ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        try:
            with grpc.insecure_channel(ready[1], options=options) as channel:
                yield FuzzServer(process, channel)
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
