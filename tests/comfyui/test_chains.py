"""Chains of Generate Video: what the server is asked, bar and text, the report, and what is refused before the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import stillcue
from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, segments_pb2
from tests.comfyui.conftest import gradient_png
from tests.comfyui.graphs import DIAGNOSIS, GENERATE, PROMPT, clip_graph, node
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import serving as running
from tests.comfyui.test_progress import texts_of
from tests.scripted_chain import a_chain, a_chain_that_ends_early, chain_or_clip
from tests.scripted_server import ScriptedServer, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy

_STAGES = "\n A boat leaves.\n\n  Gulls rise.  \n"


def _request_of(server: ScriptedServer) -> generate_pb2.GenerateRequest:
    """The only Generate request."""
    (request,) = (item for item in server.requests if isinstance(item, generate_pb2.GenerateRequest))
    return request


def test_bar_text_frames_and_report_go_through_all_segments(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    with serving(PackServer(a_chain)) as server, comfy.listen() as listener:
        graph = {
            **clip_graph(server.target, picture, stages=_STAGES),
            DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
        }
        finished = comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        texts = texts_of(listener)
        messages = [item for item in listener.messages if item.kind == "progress" and item.data["node"] == GENERATE]
    assert finished.error == ""
    request = _request_of(server)
    assert (request.prompt, request.video.frame_count, request.video.HasField("seconds")) == ("", 0, False)
    assert list(request.segments) == [
        segments_pb2.SegmentSpec(prompt="A boat leaves."),
        segments_pb2.SegmentSpec(prompt="Gulls rise."),
    ]
    # 2 segments of 2 steps, 9 frames; the summary sets the bar to its end once more.
    assert [(item.data["value"], item.data["max"]) for item in messages] == [
        (value, 13) for value in (*range(1, 14), 13)
    ]
    assert texts == [
        "waiting for the server",
        "9 frames of 48x32 in 2 segments of 2 steps",
        "segment 1 of 2: matching picture and sentence",
        "segment 1 of 2: denoising",
        "segment 1 of 2: denoising: step 1 of 2\n0.50 s a step, 0 s left in this segment",
        "segment 1 of 2: denoising: step 2 of 2\n0.50 s a step, 0 s left in this segment",
        "segment 1 of 2: decoding frames",
        *(f"decoding frames: {count} of 9" for count in range(1, 6)),
        "segment 2 of 2: matching picture and sentence",
        "segment 2 of 2: denoising",
        "segment 2 of 2: denoising: step 1 of 2\n0.50 s a step, 0 s left in this segment",
        "segment 2 of 2: denoising: step 2 of 2\n0.50 s a step, 0 s left in this segment",
        "segment 2 of 2: decoding frames",
        *(f"decoding frames: {count} of 9" for count in range(6, 10)),
        "done in 3.0 s, peak memory 11.50 GiB",
    ]
    assert captured("frames").shape == (9, 32, 48, 3)
    report = finished.outputs[DIAGNOSIS]["text"][0].splitlines()
    assert report[0].startswith("9 frames of 48x32 at 8 frames/s")
    start = report.index("segment 1, frames 0 to 4: “A boat leaves.”")
    assert report[start + 1] == "segment 2, frames 5 to 8: “Gulls rise.”"
    start = report.index("segment 1: frames 0 to 4, match 62 of 100, good with 88 %, 1.50 s of work")
    assert report[start + 2 : start + 4] == [
        "segment 2: frames 5 to 8, match 62 of 100, good with 88 %, 1.50 s of work",
        "  seam at frame 5: motion changes by 25.0 % of a side (inside 12.5 %), colours by 6.2 % (inside 3.1 %)",
    ]


def test_frames_are_those_of_the_python_client(comfy: Comfy, picture: str, captured: Callable[[str], Any]) -> None:
    stages = ["a red fox turns its head", "it walks to the left"]
    with running(FakeEngine()) as server:
        assert comfy.run(clip_graph(server.address, picture, stages="\n".join(stages), frames=13)).error == ""
        offer = comfy.get("/stillcue/capabilities", address=server.address, tls="auto")
        with stillcue.Client(server.address) as client:
            segments = [stillcue.Segment(sentence) for sentence in stages]
            raw = stillcue.FrameEncoding.RAW_RGB
            events = list(client.generate(gradient_png(48, 32), segments=segments, seed=7, frame_encoding=raw))
    frames = [event.data for event in events if isinstance(event, stillcue.Frame)]
    assert len(frames) == 13
    assert np.rint(captured("frames") * 255).astype(np.uint8).tobytes() == b"".join(frames)
    assert offer["chain_frame_counts"] == [13, 149]  # 48x32 has clips of 9 frames, 32x32 also of 17


def test_seconds_ask_for_a_longer_clip_of_the_prompt(comfy: Comfy, picture: str) -> None:
    with serving(PackServer(a_chain)) as server:
        assert comfy.run(clip_graph(server.target, picture, seconds=1.1)).error == ""
    request = _request_of(server)
    assert (request.prompt, request.video.seconds, len(request.segments)) == (PROMPT, 1.1, 0)


def test_a_chain_that_ended_early_gives_the_frames_of_its_finished_segments(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    with serving(PackServer(a_chain_that_ends_early)) as server:
        assert comfy.run(clip_graph(server.target, picture, stages=f"{_STAGES}The fog lifts.")).error == ""
    assert captured("frames").shape == (9, 32, 48, 3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"frames": 9, "seconds": 8.0}, "frames is 9 and seconds is 8, both lengths of the clip; set one to 0"),
        (
            {"stages": "fox\nfox \ud83d"},
            "stages holds half of a character at character 9; delete it and write it again",
        ),
    ],
    ids=["two lengths", "half an emoji"],
)
def test_what_is_refused_before_the_call(comfy: Comfy, picture: str, inputs: dict[str, Any], message: str) -> None:
    with serving(PackServer()) as server:
        assert comfy.run(clip_graph(server.target, picture, **inputs)).error == message
    assert not any(isinstance(item, generate_pb2.GenerateRequest) for item in server.requests)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"seconds": 8.0}, "seconds is 8, but {address} is older than this pack; set it to 0, use frames"),
        ({"stages": "A boat."}, "stages has text, but {address} is older than this pack; clear it, and use prompt"),
        ({"seconds": 0.0, "stages": " \n "}, ""),
    ],
    ids=["seconds", "stages", "neither"],
)
def test_an_older_server_is_told_before_the_call(
    comfy: Comfy, picture: str, inputs: dict[str, Any], message: str
) -> None:
    with serving(PackServer(chain_or_clip, knows_chains=False)) as server:
        error = comfy.run(clip_graph(server.target, picture, **inputs)).error
        assert comfy.get("/stillcue/capabilities", address=server.target, tls="auto")["chain_frame_counts"] == []
    assert error == message.replace("{address}", server.target)
