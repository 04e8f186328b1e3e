"""Messages above the size limit, plain and compressed, against a server process whose memory is watched."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from server.security.callers import hash_of
from stillcue.v1 import match_pb2, media_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCORE_MATCH = "/stillcue.v1.StillcueService/ScoreMatch"
TOKEN = (("authorization", "Bearer token"),)
MIB = 2**20
# The promise is 64 MB. How much of a message gRPC reads while it refuses it depends on who is faster: 8 to 50 MB seen.
ALLOWED_GROWTH_BYTES = 61 * MIB
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@dataclass(frozen=True)
class Watched:
    process_id: int
    channel: grpc.Channel

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.process_id}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def outcome(self, data: bytes, metadata: Any = TOKEN, compression: Any = None) -> grpc.StatusCode:
        channel: Any = self.channel  # the stubs of grpc want serializers; bytes need none
        call = channel.unary_unary(SCORE_MATCH)
        try:
            call(data, metadata=metadata, compression=compression, timeout=60)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def message(byte_count: int) -> bytes:
    return match_pb2.ScoreMatchRequest(
        image=media_pb2.Image(data=bytes(byte_count)), prompt="a fox"
    ).SerializeToString()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server that has read one message of nearly the largest size, plain and compressed."""
    callers = tmp_path_factory.mktemp("hostile") / "callers"
    callers.write_text(f"someone {hash_of('token')}\n")
    free = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "server", "--engine", "fake", *free, "--callers", str(callers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+)", process.stdout.readline())
        assert ready is not None
        options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", MIB)]
        with grpc.insecure_channel(ready[1], options=[*options, ("grpc.absolute_max_metadata_size", MIB)]) as channel:
            server = Watched(process.pid, channel)
            for compression in (None, grpc.Compression.Gzip):
                # Zeros are no picture: the request was read, and refused for its field.
                assert server.outcome(message(8 * MIB), compression=compression) is grpc.StatusCode.INVALID_ARGUMENT
            yield server
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


HOSTILE: dict[str, tuple[bytes, Any, Any, grpc.StatusCode]] = {
    "far above the limit": (bytes(64 * MIB), TOKEN, None, grpc.StatusCode.RESOURCE_EXHAUSTED),
    "a gzip bomb": (bytes(128 * MIB), TOKEN, grpc.Compression.Gzip, grpc.StatusCode.RESOURCE_EXHAUSTED),
    "a deflate bomb": (bytes(64 * MIB), TOKEN, grpc.Compression.Deflate, grpc.StatusCode.RESOURCE_EXHAUSTED),
    "large, without a token": (bytes(64 * MIB), (), None, grpc.StatusCode.UNAUTHENTICATED),
    "a bomb, without a token": (bytes(64 * MIB), (), grpc.Compression.Gzip, grpc.StatusCode.UNAUTHENTICATED),
    "metadata": (b"", (*TOKEN, ("x-note", "n" * 200_000)), None, grpc.StatusCode.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_too_large_is_refused_without_being_held(
    name: str, watched: Watched, promise: Callable[[str, str], None]
) -> None:
    data, metadata, compression, code = HOSTILE[name]
    before = watched.peak_bytes()
    assert watched.outcome(data, metadata, compression) is code
    growth_bytes = watched.peak_bytes() - before
    assert growth_bytes < ALLOWED_GROWTH_BYTES
    assert watched.outcome(message(1)) is grpc.StatusCode.INVALID_ARGUMENT  # and others are served
    promise("hostile", f"{name}: {code.name}, +{growth_bytes / MIB:.0f} MiB")
