"""The two servers of ``benchmarks.stream``, each in a process of its own: ``python -m benchmarks.stream_side SIDE``.

``stillcue`` is the whole server with an engine that has its frames ready; ``bare`` is a loop that yields ready-made
messages of the same frames. Prints its port, then serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np

from engine import encode_frame
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities, Geometry
from engine.api.events import Event, FrameReady, JobDone, Stage, StageStarted
from engine.api.job import PreparedJob
from engine.api.media import FrameEncoding, Pixels
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.lifecycle.core import SERVICE_NAME
from server.lifecycle.server import Server
from server.settings import Address, Settings
from stillcue.v1 import generate_pb2, media_pb2

WIDTH_PX, HEIGHT_PX, FRAME_COUNT = 832, 480, 81
ENCODINGS: dict[str, tuple[media_pb2.FrameEncoding, FrameEncoding]] = {
    "raw": (media_pb2.FRAME_ENCODING_RAW_RGB, FrameEncoding.RAW_RGB),
    "png": (media_pb2.FRAME_ENCODING_PNG, FrameEncoding.PNG),
    "jpeg": (media_pb2.FRAME_ENCODING_JPEG, FrameEncoding.JPEG),
    "webp": (media_pb2.FRAME_ENCODING_WEBP, FrameEncoding.WEBP),
}
_DISTINCT_FRAME_COUNT = 9


def frames() -> list[Pixels]:
    """Returns frames [480, 832, 3] uint8 that compress about like a decoded clip: soft moving shapes, slight grain."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    made = []
    for index in range(_DISTINCT_FRAME_COUNT):
        waves = [np.sin(columns / (40 + 9 * channel) + rows / 70 + index / 4) for channel in range(3)]
        grain = random.normal(0, 1.5, (HEIGHT_PX, WIDTH_PX, 1)).astype(np.float32)
        made.append(np.clip(128 + 90 * np.stack(waves, axis=-1) + grain, 0, 255).astype(np.uint8))
    return made


class ReadyFrames(FakeEngine):
    """An engine that has every frame of a clip ready, so that only the server takes time."""

    def __init__(self) -> None:
        super().__init__(capabilities=_capabilities())
        self._frames = frames()

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Yields all frames at once."""
        yield StageStarted(Stage.DECODE)
        for index in range(job.settings.frame_count):
            cancel.check()
            yield FrameReady(index, self._frames[index % _DISTINCT_FRAME_COUNT])
        yield JobDone({Stage.DECODE: 0.0}, 0.0, 0.0, 0, 40.0, None, job.warnings)


def _capabilities() -> Capabilities:
    return dataclasses.replace(FAKE_CAPABILITIES, geometries=(Geometry(WIDTH_PX, HEIGHT_PX, FRAME_COUNT),))


def _messages(wire: media_pb2.FrameEncoding, encoding: FrameEncoding) -> list[generate_pb2.GenerateResponse]:
    return [
        generate_pb2.GenerateResponse(
            sequence_number=index,
            frame=generate_pb2.Frame(
                index=index,
                encoding=wire,
                data=bytes(encode_frame(pixels, encoding)),
                width_px=WIDTH_PX,
                height_px=HEIGHT_PX,
            ),
        )
        for index, pixels in enumerate(frames())
    ]


async def _serve_stillcue() -> None:
    free = Address("127.0.0.1", 0)
    server = Server(Settings(listen=free, metrics_listen=free, engine="fake"), ReadyFrames)
    address, _ = await server.start()
    assert isinstance(address, Address)
    await _until_input_ends(address.port)
    await server.stop()


async def _serve_bare() -> None:
    made = {wire: _messages(wire, encoding) for wire, encoding in ENCODINGS.values()}

    async def generate(
        request: generate_pb2.GenerateRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[generate_pb2.GenerateResponse]:
        messages = made[request.stream.frame_encoding]
        for index in range(FRAME_COUNT):
            yield messages[index % _DISTINCT_FRAME_COUNT]

    handler = grpc.unary_stream_rpc_method_handler(
        generate, generate_pb2.GenerateRequest.FromString, generate_pb2.GenerateResponse.SerializeToString
    )
    server = grpc.aio.server(compression=grpc.Compression.NoCompression)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, {"Generate": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _until_input_ends(port)
    await server.stop(None)


async def _until_input_ends(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve_bare() if sys.argv[1] == "bare" else _serve_stillcue())
