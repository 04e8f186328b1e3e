"""``serve run deploy/ray/cpu.yaml`` as docs/ray.md starts it: the embedded model on two replicas."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.fleet.machines import free_ports
from stillcue.v1 import capabilities_pb2, generate_pb2
from tests.ray.fleet import PYTHON, ROOT, ray_process
from tests.server_processes import FREE_PORTS, line_of, start_process
from tests.serving import kinds, png, stub_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ray

_START_SECONDS = 180.0
_CLIP_SECONDS = 120.0


@pytest.fixture
def address() -> Iterator[str]:
    """The address of the fleet that the page's command starts, on other ports."""
    folder = Path(tempfile.mkdtemp(prefix="sc-ray-"))
    grpc_port, http_port = free_ports(2)
    text = (ROOT / "deploy" / "ray" / "cpu.yaml").read_text()
    assert text.count("port: 9000") == text.count("port: 8000") == 1
    config = folder / "cpu.yaml"
    config.write_text(text.replace("port: 9000", f"port: {grpc_port}").replace("port: 8000", f"port: {http_port}"))
    command = [str(PYTHON.with_name("serve")), "run", str(config)]
    try:
        with ray_process(command, folder, RAY_TMPDIR=str(folder / "ray")) as process:
            try:
                yield f"127.0.0.1:{grpc_port}"
            finally:
                process.send_signal(signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until_serving(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with suppress(grpc.aio.AioRpcError):  # the proxy does not know the application yet
                answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
                return
            await asyncio.sleep(0.2)


async def clip(channel: grpc.aio.Channel, seed: int) -> tuple[str, list[str], list[bytes]]:
    """Digest of the bundle; kinds of events without queue updates; frames."""
    stub = stub_of(channel)
    capabilities = await stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    request = generate_pb2.GenerateRequest(prompt="a red ball rolls to the right")
    request.image.data = png(64, 64)
    request.sampling.seed = seed
    request.stream.frame_encoding = capabilities.frame_encodings[0]
    call: Any = stub.Generate(request)
    async with asyncio.timeout(_CLIP_SECONDS):
        messages = [message async for message in call]
    names = [name for name in kinds(messages) if name != "queue_update"]
    return capabilities.model.bundle_digest, names, [m.frame.data for m in messages if m.HasField("frame")]


async def test_clips_are_those_of_a_plain_server(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        await until_serving(channel)
        first, second = await asyncio.gather(clip(channel, 7), clip(channel, 7))  # one on each replica
    plain = await start_process("-m", "server", "--bundle", "pocket/model", "--device", "cpu", *FREE_PORTS)
    try:
        ready = await asyncio.wait_for(line_of(plain.stdout), _START_SECONDS)
        target = dict(word.split("=") for word in ready.split(" ")[2:])["grpc"]
        async with grpc.aio.insecure_channel(target) as channel:
            expected = await clip(channel, 7)
    finally:
        plain.terminate()
        await plain.communicate()
    assert len(expected[2]) == 17
    assert first == second == expected
