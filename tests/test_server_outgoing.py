"""Messages encoded by hand are the ones that protobuf decodes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.api.events import FrameReady, Stage, StageStarted
from engine.api.media import FrameEncoding
from engine.testing.fake_engine import FAKE_CAPABILITIES
from server.jobs.messages import Origin
from server.rpc.codec.durations import encode_duration
from server.rpc.codec.outgoing import Outgoing
from server.rpc.codec.stream import StreamCodec
from stillcue.v1 import generate_pb2, media_pb2


def encode(event: FrameReady | StageStarted) -> Outgoing:
    return StreamCodec(FAKE_CAPABILITIES, FrameEncoding.RAW_RGB).encode(event, Origin(2, 3))


@pytest.mark.parametrize(("height_px", "width_px"), [(1, 1), (1, 42), (1, 43), (64, 85), (480, 832)])
def test_a_raw_frame_is_written_as_protobuf_writes_it(height_px: int, width_px: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    outgoing = encode(FrameReady(3, pixels))
    outgoing.response.sequence_number = 300
    outgoing.response.elapsed.CopyFrom(encode_duration(1.5))
    expected = generate_pb2.GenerateResponse(
        sequence_number=300,
        attempt=2,
        segment=3,
        elapsed=encode_duration(1.5),
        frame=generate_pb2.Frame(
            index=3,
            encoding=media_pb2.FRAME_ENCODING_RAW_RGB,
            data=pixels.tobytes(),
            width_px=width_px,
            height_px=height_px,
        ),
    )
    written = outgoing.SerializeToString()
    assert generate_pb2.GenerateResponse.FromString(written) == expected
    assert len(written) == expected.ByteSize()
    assert 0 <= len(written) - outgoing.byte_count < 32


def test_pixels_that_do_not_lie_one_after_the_other_are_put_in_order() -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)[:, ::2]
    written = encode(FrameReady(0, pixels)).SerializeToString()
    assert generate_pb2.GenerateResponse.FromString(written).frame.data == pixels.tobytes()


def test_what_holds_no_frame_is_the_message_itself() -> None:
    outgoing = encode(StageStarted(Stage.DECODE))
    assert outgoing.SerializeToString() == outgoing.response.SerializeToString()
    assert outgoing.byte_count == len(outgoing.SerializeToString())
