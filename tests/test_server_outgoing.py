"""Messages encoded by hand are the ones that protobuf decodes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.api.types import FrameEncoding, FrameReady, Stage, StageStarted
from server.rpc import codec
from stillcue.v1 import generate_pb2, media_pb2


@pytest.mark.parametrize(("height_px", "width_px"), [(1, 1), (1, 42), (1, 43), (64, 85), (480, 832)])
def test_a_raw_frame_is_written_as_protobuf_writes_it(height_px: int, width_px: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    outgoing = codec.event_response(FrameReady(3, pixels), FrameEncoding.RAW_RGB)
    outgoing.response.sequence_number = 300
    outgoing.response.elapsed.CopyFrom(codec.encode_duration(1.5))
    expected = generate_pb2.GenerateResponse(
        sequence_number=300,
        elapsed=codec.encode_duration(1.5),
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
    written = codec.event_response(FrameReady(0, pixels), FrameEncoding.RAW_RGB).SerializeToString()
    assert generate_pb2.GenerateResponse.FromString(written).frame.data == pixels.tobytes()


def test_what_holds_no_frame_is_the_message_itself() -> None:
    outgoing = codec.event_response(StageStarted(Stage.DECODE), FrameEncoding.RAW_RGB)
    assert outgoing.SerializeToString() == outgoing.response.SerializeToString()
    assert outgoing.byte_count == len(outgoing.SerializeToString())
