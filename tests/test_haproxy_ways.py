"""A real HAProxy before real servers: ways to a server, TLS on both sides, killed proxies and servers."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest

import stillcue
from deploy.haproxy.health_check import check_bytes
from server.jobs.replica import replica_key
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.certificates import Signer
from tests.fleets import DOWN, NAMES, Proxy, gated_servers, proxy
from tests.serving import PATIENCE_SECONDS, PROMPT, failure_of, generate_request, kinds, png, read_all
from tests.test_haproxy_queue import CALL_COUNT, begin, finish, new_request, rest_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.walk


def to_replica(name: str) -> tuple[tuple[str, str], ...]:
    return (("stillcue-replica", replica_key(name)),)


async def answers_of(haproxy: Proxy, backend: str, server: str) -> float:
    return (await haproxy.samples())["haproxy_server_sessions_total", backend, server, ""]


async def test_calls_with_a_key_go_to_their_server_past_the_queue(tmp_path: Path) -> None:
    async with gated_servers(2) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path, addresses) as haproxy:
            for name in servers:
                score = match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=PROMPT)
                await haproxy.stub.ScoreMatch(score, metadata=to_replica(name))
                assert await answers_of(haproxy, f"replica-{name}", name) == 1
            running = [await begin(haproxy.stub.Generate(new_request())) for _ in servers]
            waiting = asyncio.create_task(begin(haproxy.stub.Generate(new_request())))
            await haproxy.reaches(1, "backend_current_queue", "generate")
            # Both servers run a job and one waits: a call that names its server does not wait for either.
            token = generate_pb2.GenerateRequest(request_id=str(uuid.uuid4()), resume_token="bad")
            for name in servers:
                await failure_of(haproxy.stub.Generate(token, metadata=to_replica(name)))
                assert await answers_of(haproxy, f"replica-{name}", name) == 2
            cancel = generate_pb2.CancelGenerateRequest(request_id=str(uuid.uuid4()))
            await failure_of(haproxy.stub.CancelGenerate(cancel, metadata=to_replica("b")))
            assert await answers_of(haproxy, "replica-b", "b") == 3
            # The key of nobody, or of a server that is down: any other answers at once that it has no such job.
            unknown = await failure_of(haproxy.stub.Generate(token, metadata=to_replica("nobody")))
            servers["b"][0].process.kill()
            await haproxy.sees("b", DOWN)
            gone = await failure_of(haproxy.stub.Generate(token, metadata=to_replica("b")))
            assert unknown.code() is gone.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert await answers_of(haproxy, "replica-b", "b") == 3
            await failure_of(_first_to_end(running))
            for _ in range(2):
                await finish(servers["a"][0])
            assert (await rest_of(await waiting))[-1] == "summary"


async def _first_to_end(running: list[Any]) -> None:
    """Reads all streams until one ends, which is that of the killed server."""
    tasks = [asyncio.create_task(rest_of(events)) for events in running]
    done, going_on = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in going_on:
        task.add_done_callback(lambda _: None)
    await done.pop()


@pytest.mark.parametrize("is_mutual", [False, True])
async def test_tls_on_both_sides(tmp_path: Path, is_mutual: bool) -> None:
    signer = Signer()
    identity = signer.sign("127.0.0.1", "stillcue.test")
    (tmp_path / "ca.pem").write_bytes(signer.pem)
    (tmp_path / "own.pem").write_bytes(identity.chain + identity.key)
    files = identity.write(tmp_path, "server")
    flags = [
        f"--tls-certificate-chain={files['tls_certificate_chain']}",
        f"--tls-private-key={files['tls_private_key']}",
    ]
    own = [f"--tls-certificate={tmp_path / 'own.pem'}", f"--servers-tls-ca={tmp_path / 'ca.pem'}"]
    own.append("--servers-tls-name=stillcue.test")
    client: dict[str, Any] = {}
    if is_mutual:
        flags.append(f"--tls-client-ca={tmp_path / 'ca.pem'}")
        own += [f"--servers-tls-certificate={tmp_path / 'own.pem'}", f"--tls-client-ca={tmp_path / 'ca.pem'}"]
        client = identity.of_client
    async with gated_servers(1, *flags) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        credentials = grpc.ssl_channel_credentials(
            signer.pem, client.get("private_key"), client.get("certificate_chain")
        )
        async with proxy(tmp_path / "haproxy", addresses, *own, credentials=credentials) as haproxy:
            # The check of health passes over TLS too.
            await haproxy.reaches(1, "server_check_status", "generate", "a", "L7OK")
            job = asyncio.create_task(read_all(haproxy.stub.Generate(generate_request())))
            await finish(servers["a"][0])
            assert kinds(await job)[-1] == "summary"
            await haproxy.sees("a", "UP")
            async with stillcue.AsyncClient(haproxy.address, tls=True, root_certificates=Signer().pem) as stranger:
                with pytest.raises(stillcue.Unavailable):
                    await stranger.capabilities(timeout_seconds=PATIENCE_SECONDS)


async def test_the_refusal_ends_the_call_with_its_headers(tmp_path: Path) -> None:
    """Clients in Go and Java read the status of a call without messages only where the headers end the stream."""
    async with proxy(tmp_path, {"a": "127.0.0.1:1"}) as haproxy:
        await haproxy.sees("a", DOWN)
        host, port = haproxy.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(check_bytes("stillcue", is_encrypted=False))
        frames: list[tuple[int, int]] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(kind == 0x1 for kind, _ in frames):
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                frames.append((head[3], head[4]))
        writer.close()
        assert frames[-1] == (0x1, 0x4 | 0x1)  # HEADERS, with END_HEADERS and END_STREAM


async def test_a_stream_goes_on_when_its_proxy_is_killed(tmp_path: Path) -> None:
    """The next proxy shares nothing with the killed one and finds the server by the key alone."""
    async with gated_servers(2) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path / "1", addresses) as first, stillcue.AsyncClient(first.address) as client:
            stream = client.generate(png(), PROMPT, **OPTIONS)
            events = [await asyncio.wait_for(anext(stream), PATIENCE_SECONDS)]
            busy = await server_of_the_job(first)
            first.process.kill()
            await first.process.wait()
            port = int(first.address.rpartition(":")[2])
            async with proxy(tmp_path / "2", addresses, port=port) as second:
                rest = asyncio.create_task(collect(stream))
                await finish(servers[busy][0])
                events += await asyncio.wait_for(rest, PATIENCE_SECONDS)
                assert await answers_of(second, f"replica-{busy}", busy) == 1
    assert_undisturbed(events)


async def test_a_stream_goes_on_elsewhere_when_its_server_is_killed(tmp_path: Path) -> None:
    async with gated_servers(2) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path, addresses) as haproxy, stillcue.AsyncClient(haproxy.address) as client:
            stream = client.generate(png(), PROMPT, **OPTIONS)
            events = [await asyncio.wait_for(anext(stream), PATIENCE_SECONDS)]
            busy = await server_of_the_job(haproxy)
            for _ in range(CALL_COUNT - 1):
                await servers[busy][0].graph_call()
            while sum(isinstance(event, stillcue.Frame) for event in events) < 3:
                events.append(await asyncio.wait_for(anext(stream), PATIENCE_SECONDS))
            servers[busy][0].process.kill()
            rest = asyncio.create_task(collect(stream))
            await finish(servers["b" if busy == "a" else "a"][0])
            events += await asyncio.wait_for(rest, PATIENCE_SECONDS)
    assert_undisturbed(events)


OPTIONS: dict[str, Any] = {
    "seed": 7,
    "resume_window_seconds": 60,
    "frame_encoding": stillcue.FrameEncoding.RAW_RGB,
    "preview_every_step_count": 1,
}


async def server_of_the_job(haproxy: Proxy) -> str:
    """The name of the one server that runs a job."""
    samples = await haproxy.samples()
    (name,) = (name for name in NAMES if samples.get(("haproxy_server_current_sessions", "generate", name, "")))
    return name


def assert_undisturbed(events: list[Any]) -> None:
    """Every event of one job came once and in order, with the frames that the fake engine's docstring gives."""
    steps = [event.completed_step_count for event in events if isinstance(event, stillcue.DenoiseProgress)]
    assert steps == [1, 2, 3, 4]
    frames = [event for event in events if isinstance(event, stillcue.Frame)]
    assert [frame.data for frame in frames] == [bytes([7 + i, i, len(PROMPT)]) * 32 * 32 for i in range(9)]
    assert isinstance(events[-1], stillcue.Summary)
    assert [type(event) for event in events].count(stillcue.Accepted) == 1


async def collect(stream: Any) -> list[Any]:
    return [event async for event in stream]
