"""VIDEO that the server encodes: with the exact frames beside it, or without frames where nothing uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, media_pb2
from tests.comfyui.graphs import GENERATE, capture, generate_node, node, prepare_graph
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import ServerThread, serving
from tests.scripted_server import Response, a_clip
from tests.scripted_server import serving as serving_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.comfyui.comfy import Comfy, Graph

H264 = "H.264 from the server"
COLOURS = [[7 + index, index, 24] for index in range(9)]  # of the fake engine's frames with seed 7


def video_graph(address: str, picture: str, video: str = H264) -> Graph:
    return {
        **prepare_graph(address, picture),
        **generate_node(video=video),
        **capture("video", GENERATE, 0),
    }


def colours(images: np.ndarray[Any, Any]) -> list[list[int]]:
    """Returns the colour in the middle of each frame, 0 to 255."""
    values: list[list[int]] = np.rint(images[:, 16, 24] * 255).astype(int).tolist()
    return values


def test_a_video_alone_comes_without_frames(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    with comfy.listen() as listener:
        graph = video_graph(server.address, picture)
        finished = comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        moved = [item.data for item in listener.messages if item.kind == "progress"]
        bars = [data["value"] for data in moved if data["node"] == GENERATE]
        previews = [item for item in listener.messages if item.kind == "preview"]
    assert finished.error == ""
    assert np.abs(np.array(colours(captured("video"))) - COLOURS).max() <= 4
    described = json.loads((comfy.folder / "output" / "captured" / "video.json").read_text())
    assert described == {"frame_rate": "8", "size": [48, 32]}
    assert bars[-1] == 13
    assert bars == sorted(bars)
    assert len(previews) == 4  # of the steps: there are no frames


def test_frames_that_are_used_come_exactly_beside_the_video(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    graph = {**video_graph(server.address, picture), **capture("frames", GENERATE, 1)}
    assert comfy.run(graph).error == ""
    assert colours(captured("frames")) == COLOURS
    assert captured("video").shape == (9, 32, 48, 3)


def test_linking_the_frames_later_generates_again_with_frames(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    engine = FakeEngine()
    with serving(engine) as server:
        alone = video_graph(server.address, picture)
        for graph, clip_count in ((alone, 1), (alone, 1), ({**alone, **capture("frames", GENERATE, 1)}, 2)):
            assert comfy.run(graph).error == ""
            assert len(engine.graph_calls) == 10 * clip_count
    assert colours(captured("frames")) == COLOURS


def test_linking_the_frames_later_costs_nothing_where_the_video_is_made_of_them(comfy: Comfy, picture: str) -> None:
    engine = FakeEngine()
    with serving(engine) as server:
        alone = video_graph(server.address, picture, "from the frames")
        comfy.run(alone)
        assert GENERATE in comfy.run({**alone, **capture("frames", GENERATE, 1)}).cached_nodes
    assert len(engine.graph_calls) == 10


def test_a_saved_video_is_the_servers_file(comfy: Comfy, server: ServerThread, picture: str) -> None:
    graph = {
        **prepare_graph(server.address, picture),
        **generate_node(video=H264),
        "save": node("SaveVideo", video=[GENERATE, 0], filename_prefix="clip", format="auto", codec="auto"),
    }
    finished = comfy.run(graph)
    assert finished.error == ""
    saved = finished.outputs["save"]["images"][0]
    assert (comfy.folder / "output" / saved["subfolder"] / saved["filename"]).read_bytes()[4:8] == b"ftyp"


def test_a_codec_that_the_server_does_not_have_is_told(comfy: Comfy, picture: str) -> None:
    with serving_script(PackServer()) as server:
        error = comfy.run(video_graph(server.target, picture)).error
    assert error == (
        f"video is “{H264}”, but the server at {server.target} does not encode it; choose “from the frames”"
    )
    assert not any(isinstance(item, generate_pb2.GenerateRequest) for item in server.requests)


def test_the_choice_names_the_codec(comfy: Comfy, picture: str) -> None:
    codecs = [media_pb2.VIDEO_CODEC_H264, media_pb2.VIDEO_CODEC_AV1]
    for choice, codec in ((H264, codecs[0]), ("AV1 from the server", codecs[1])):
        with serving_script(PackServer(video_codecs=codecs)) as server:
            comfy.run(video_graph(server.target, picture, choice))  # of the file only the order matters
            assert comfy.get("/stillcue/capabilities", address=server.target)["video"] == [
                "from the frames",
                H264,
                "AV1 from the server",
            ]
        stream = next(item for item in server.requests if isinstance(item, generate_pb2.GenerateRequest)).stream
        assert stream.video_container == media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
        assert stream.video_codec == codec
        assert stream.omit_frames


def test_a_video_that_lacks_frames_is_a_clear_error(comfy: Comfy, picture: str) -> None:
    def short(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield from (item for item in a_clip(request, context) if item.video_chunk.index != 1)

    with serving_script(PackServer(generate=short, video_codecs=[media_pb2.VIDEO_CODEC_H264])) as server:
        error = comfy.run(video_graph(server.target, picture)).error
    assert error == "the server's video has 1 of 5 frames; run again, or tell its operator"
