"""Every node, run by ComfyUI's executor against a real server with the fake engine: types, shapes and exact values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import stillcue
from tests.comfyui.conftest import gradient, gradient_png
from tests.comfyui.graphs import (
    DIAGNOSIS,
    GENERATE,
    MATCH,
    PREPARE,
    PROMPT,
    SERVER,
    capture,
    clip_graph,
    generate_node,
    match_node,
    node,
    prepare_graph,
)
from tests.comfyui.stillcue_server import ServerThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy


def test_every_node_is_listed_with_its_inputs_and_names(comfy: Comfy) -> None:
    info = comfy.object_info()
    names = {key: value["display_name"] for key, value in info.items() if value["category"] == "Stillcue"}
    assert names == {
        "StillcueServer": "Stillcue Server",
        "StillcuePreparePicture": "Prepare Picture",
        "StillcueMatchScore": "Match Score",
        "StillcueGenerateVideo": "Generate Video",
        "StillcueDiagnosis": "Diagnosis",
    }
    for key in names:
        groups = info[key]["input"]
        for name, (_, options) in {**groups["required"], **groups.get("optional", {})}.items():
            assert options["tooltip"].endswith((".", "..")), f"{key}.{name}"
        assert len(info[key]["output_name"]) == len(info[key]["output"]) == len(info[key]["output_tooltips"])


def test_the_whole_graph_gives_outputs_of_the_right_types(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    graph = {
        **prepare_graph(server.address, picture),
        **match_node(minimum_score=60.0),
        **generate_node(picture=[MATCH, 0], prompt=[MATCH, 1]),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
        **capture("preview", PREPARE, 1),
        **capture("picture report", PREPARE, 2),
        **capture("score", MATCH, 2),
        **capture("verdict", MATCH, 3),
        **capture("match report", MATCH, 4),
        **capture("rewritten", MATCH, 5),
        **capture("heat map", MATCH, 6),
        **capture("crop", MATCH, 7),
        **capture("video", GENERATE, 0),
        **capture("frames", GENERATE, 1),
        **capture("seed", GENERATE, 3),
        **capture("diagnosis", DIAGNOSIS, 0),
        **capture("outcome", DIAGNOSIS, 1),
        **capture("remedy", DIAGNOSIS, 2),
        **capture("consistency", DIAGNOSIS, 3),
        **capture("motion", DIAGNOSIS, 4),
    }
    finished = comfy.run(graph)
    assert (finished.status, finished.error) == ("success", "")

    assert np.array_equal(captured("preview"), gradient(48, 32)[None].astype(np.float32) / np.float32(255))
    assert captured("picture report").startswith("the clip starts from 48x32 px (crop_center)\nPNG 48x32, sharpness")
    assert captured("score") == 60.0
    assert captured("verdict") == "doubtful"
    assert captured("match report").startswith("match 60 of 100, doubtful")
    assert captured("rewritten") == PROMPT
    assert captured("heat map").shape[3] == 3
    assert captured("crop").shape == (1, 32, 48, 3)
    frames = captured("frames")
    assert frames.shape == (9, 32, 48, 3)
    assert np.array_equal(captured("video"), frames)
    assert captured("seed") == 7
    assert captured("diagnosis").startswith(
        "9 frames of 48x32 at 8 frames/s, 4 steps, guidance 3.5 and 3.5, shift 5, seed 7\n"
    )
    assert captured("outcome") == "clean"
    assert captured("remedy") == ""
    assert captured("consistency") == -1.0
    assert captured("motion") == 1.0
    shown = finished.outputs[PREPARE]["images"][0]
    assert (comfy.folder / "temp" / shown["filename"]).exists()


def test_frames_are_those_of_the_python_client_byte_for_byte(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    comfy.run(clip_graph(server.address, picture, seed=11, steps=3))
    with stillcue.Client(server.address) as client:
        events = list(client.generate(gradient_png(48, 32), PROMPT, seed=11, step_count=3, frame_encoding=RAW))
    frames = [event.data for event in events if isinstance(event, stillcue.Frame)]
    assert np.rint(captured("frames") * 255).astype(np.uint8).tobytes() == b"".join(frames)


RAW = stillcue.FrameEncoding.RAW_RGB


def test_every_input_reaches_the_server(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    graph = {
        **prepare_graph(server.address, picture, size="32x32", fit="pad"),
        **generate_node(
            frames=17,
            frame_rate=23.976,
            steps=5,
            guidance=2.5,
            guidance_low_noise=1.5,
            seed=2**63 - 1,
            negative_prompt="rain",
            shift=3.0,
        ),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
        **capture("video", GENERATE, 0),
    }
    finished = comfy.run(graph)
    assert finished.outputs[DIAGNOSIS]["text"][0].splitlines()[0] == (
        f"17 frames of 32x32 at 23.976 frames/s, 5 steps, guidance 2.5 and 1.5, shift 3, seed {2**63 - 1}"
    )
    rate = (comfy.folder / "output" / "captured" / "video.json").read_text()
    assert '"24000/1001"' in rate


@pytest.mark.parametrize(
    ("text", "when_empty", "expected"),
    [
        ("", "server's default", "blurred"),
        ("", "nothing", ""),
        ("rain", "server's default", "rain"),
        ("rain", "nothing", "rain"),
    ],
    ids=["default", "nothing", "text beside default", "text beside nothing"],
)
def test_an_empty_negative_prompt_is_the_servers_default_or_nothing(
    comfy: Comfy,
    server: ServerThread,
    picture: str,
    captured: Callable[[str], Any],
    text: str,
    when_empty: str,
    expected: str,
) -> None:
    graph = {
        **prepare_graph(server.address, picture),
        **generate_node(negative_prompt=text, negative_when_empty=when_empty),
        **capture("clip", GENERATE, 2),
    }
    assert comfy.run(graph).error == ""
    assert f"negative_prompt={expected!r}" in captured("clip")


def test_the_server_node_makes_no_call(comfy: Comfy) -> None:
    graph = {SERVER: node("StillcueServer", address=" 127.0.0.1:1 ", tls="auto"), **capture("server", SERVER, 0)}
    finished = comfy.run(graph)
    assert (finished.status, finished.error) == ("success", "")
