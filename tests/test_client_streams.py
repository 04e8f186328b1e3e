"""Streams and clients that are closed, by block, by thread or by task: the call is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

import stillcue
from tests.scripted_server import ScriptedServer, a_clip, a_clip_that_halts


def _until_first_frame(stream: stillcue.EventStream) -> None:
    next(event for event in stream if isinstance(event, stillcue.Frame))


def test_closing_a_stream_cancels_the_call(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    stream = client.generate(b"a picture", "A boat.")
    _until_first_frame(stream)
    stream.close()
    assert server.cancelled.wait(10)
    assert list(stream) == []


def test_leaving_the_streams_block_cancels_the_call(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    with client.generate(b"a picture", "A boat.") as stream:
        _until_first_frame(stream)
    assert server.cancelled.wait(10)


def test_closing_a_stream_at_its_end_cancels_nothing(client: stillcue.Client, server: ScriptedServer) -> None:
    with client.generate(b"a picture", "A boat.") as stream:
        list(stream)
    client.capabilities()
    assert not server.cancelled.is_set()


def test_closing_the_client_cancels_its_calls(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    with stillcue.Client(server.target) as client:
        stream = client.generate(b"a picture", "A boat.", request_id="an-id")
        _until_first_frame(stream)
    assert server.cancelled.wait(10)
    with pytest.raises(stillcue.Cancelled) as caught:
        next(stream)
    assert caught.value.request_id == "an-id"


def test_closing_from_another_thread_ends_the_wait(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    stream = client.generate(b"a picture", "A boat.")
    _until_first_frame(stream)
    closer = threading.Thread(target=stream.close)
    closer.start()
    with pytest.raises((stillcue.Cancelled, StopIteration)):
        next(stream)
    closer.join()
    assert server.cancelled.wait(10)


async def test_closing_an_asynchronous_stream_cancels_the_call(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    async with stillcue.AsyncClient(server.target) as client:
        async with client.generate(b"a picture", "A boat.") as stream:
            async for event in stream:
                if isinstance(event, stillcue.Frame):
                    break
        assert await asyncio.to_thread(server.cancelled.wait, 10)
        assert [event async for event in stream] == []
        server.generate = a_clip
        assert isinstance([event async for event in client.generate(b"p", "A boat.")][-1], stillcue.Summary)


async def test_cancelling_the_reading_task_cancels_the_call(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    has_frame = asyncio.Event()

    async def read(client: stillcue.AsyncClient) -> None:
        async for event in client.generate(b"a picture", "A boat."):
            if isinstance(event, stillcue.Frame):
                has_frame.set()

    async with stillcue.AsyncClient(server.target) as client:
        task = asyncio.create_task(read(client))
        await has_frame.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.cancelled.wait, 10)


async def test_closing_the_asynchronous_client_is_no_task_cancellation(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    client = stillcue.AsyncClient(server.target)
    stream = client.generate(b"a picture", "A boat.", request_id="an-id")
    await anext(stream)
    await anext(stream)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(stillcue.Cancelled) as caught:
        await waiting
    assert caught.value.request_id == "an-id"
    assert await asyncio.to_thread(server.cancelled.wait, 10)
