"""Wrong inputs: refused before anything runs, or told by the server and given the names of the node's inputs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from clients.comfyui.node_errors import INPUT_BY_FIELD
from clients.comfyui.nodes import NODE_CLASS_MAPPINGS
from engine.api.capabilities import Family
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.rpc.codec.fields import GENERATE_PATHS, SCORE_MATCH_PATHS
from stillcue import PictureFit
from stillcue.v1 import generate_pb2, match_pb2
from tests.comfyui.comfy import Refused
from tests.comfyui.graphs import (
    DIAGNOSIS,
    GENERATE,
    MATCH,
    PREPARE,
    capture,
    clip_graph,
    match_node,
    node,
    prepare_graph,
)
from tests.comfyui.stillcue_server import ServerThread, serving

if TYPE_CHECKING:
    from tests.comfyui.comfy import Comfy, Graph


def test_every_field_of_a_request_has_the_name_of_an_input() -> None:
    # The pack never sends these: Match Score is its gate, and previews come with every step.
    unsent = {"match.mode", "match.minimum_score", "stream.preview_every_step_count", "frame_count", "frame_rate"}
    unsent.add("guidance_scale")
    assert {*GENERATE_PATHS.values(), *SCORE_MATCH_PATHS.values()} - INPUT_BY_FIELD.keys() == unsent
    for path in INPUT_BY_FIELD:
        descriptor: Any = generate_pb2.GenerateRequest.DESCRIPTOR
        if path in match_pb2.ScoreMatchRequest.DESCRIPTOR.fields_by_name:
            descriptor = match_pb2.ScoreMatchRequest.DESCRIPTOR
        for name in path.replace("[{}]", "").split("."):
            assert name in descriptor.fields_by_name, path
            descriptor = descriptor.fields_by_name[name].message_type


def test_every_name_of_an_input_exists() -> None:
    inputs = {"picture"}
    for kind in NODE_CLASS_MAPPINGS.values():
        types = kind.INPUT_TYPES()  # type: ignore[attr-defined]
        inputs |= {*types["required"], *types.get("optional", {})}
    assert {name.removesuffix(" of Prepare Picture") for name in INPUT_BY_FIELD.values()} <= inputs


def test_the_fits_are_those_of_the_contract() -> None:
    fits = NODE_CLASS_MAPPINGS["StillcuePreparePicture"].INPUT_TYPES()["required"]["fit"][0]  # type: ignore[attr-defined]
    assert fits == [fit.value for fit in PictureFit if fit is not PictureFit.UNKNOWN]


def test_wrong_values_are_refused_before_anything_runs(comfy: Comfy, picture: str) -> None:
    for name, value, message in (
        ("size", "large", "'large' is no size; give width x height in pixels, such as 832x480, or 'by the picture'"),
        ("fit", "stretch", "fit: 'stretch' not in "),
        ("large_pictures", "cut", "large_pictures: 'cut' not in "),
    ):
        with pytest.raises(Refused) as caught:
            comfy.submit(prepare_graph("127.0.0.1:1", picture, **{name: value}))
        assert any(message in text for text in caught.value.details(PREPARE))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", -1, "smaller than min of 0"),
        ("seed", 2**63, f"bigger than max of {2**63 - 1}"),
        ("frame_rate", 121.0, "bigger than max of 120.0"),
        ("guidance", 30.5, "bigger than max of 30.0"),
        ("seconds", 600.1, "bigger than max of 600.0"),
        ("steps", "many", "Failed to convert an input value to a INT value"),
        ("negative_when_empty", "perhaps", "Value not in list"),
        ("video", "VP9", "'VP9' is none of from the frames, H.264 from the server, AV1 from the server"),
    ],
)
def test_a_wrong_input_of_generate_video_is_told_with_the_answer_to_the_prompt(
    comfy: Comfy, server: ServerThread, picture: str, name: str, value: Any, message: str
) -> None:
    # Prepare Picture can run, so the prompt is queued without the clip, as ComfyUI does.
    answer = comfy.post("/prompt", {"prompt": clip_graph(server.address, picture, **{name: value})})
    errors = [f"{item['message']}: {item['details']}" for item in answer["node_errors"][GENERATE]["errors"]]
    assert any(message in error for error in errors)


@pytest.mark.parametrize(
    ("inputs", "lines"),
    [
        (
            {"prompt": " ", "frames": 10, "steps": 101, "guidance": 0.5, "shift": 0.001, "frame_rate": 0.5},
            [
                "the request is wrong:",
                "  prompt is empty; name the subject of the picture and what it does",
                "  frames is 10, not 4n + 1; the nearest is 9",
                "  frame_rate is 0.5, outside 1 to 120",
                "  steps is 101, outside 1 to 100",
                "  guidance is 0.5, outside 1 to 30",
                "  shift is 0.001, outside 0.01 to 100",
            ],
        ),
        (
            {"frames": 5},
            [
                "this server cannot do that:",
                "  frames is 5; this server was compiled for 9, 17 frames",
                "  choose another size, other frames or another video among those that {address} offers",
            ],
        ),
        ({"prompt": "fox \ud83d"}, ["prompt holds half of a character at character 5; delete it and write it again"]),
        (
            {"negative_prompt": "\udc00"},
            ["negative_prompt holds half of a character at character 1; delete it and write it again"],
        ),
    ],
    ids=["all at once", "not compiled", "half an emoji", "half an emoji not wanted"],
)
def test_what_the_server_refuses_has_the_names_of_the_inputs(
    comfy: Comfy, server: ServerThread, picture: str, inputs: dict[str, Any], lines: list[str]
) -> None:
    error = comfy.run(clip_graph(server.address, picture, **inputs)).error
    told = [line for line in error.splitlines() if "request id: " not in line]
    assert told == [line.replace("{address}", server.address) for line in lines]


def test_half_an_emoji_is_told_by_match_score_too(comfy: Comfy, server: ServerThread, picture: str) -> None:
    graph = {**prepare_graph(server.address, picture), **match_node(prompt="\ud83d")}
    assert comfy.run(graph).error == "prompt holds half of a character at character 1; delete it and write it again"


def test_a_model_with_one_transformer_has_no_second_guidance(comfy: Comfy, picture: str) -> None:
    defaults = replace(FAKE_CAPABILITIES.defaults, guidance_scale_low_noise=None)
    single = replace(FAKE_CAPABILITIES, family=Family.WAN22_TI2V_5B, defaults=defaults)
    with serving(FakeEngine(capabilities=single)) as server:
        refused = comfy.run(clip_graph(server.address, picture, guidance_low_noise=3.0)).error
        assert comfy.run(clip_graph(server.address, picture)).error == ""
    assert refused == ("guidance_low_noise is 3, but the model fake has one transformer; set it to 0, and use guidance")


@pytest.mark.parametrize(
    ("node_id", "name", "source"),
    [
        (PREPARE, "server", "Stillcue Server"),
        (GENERATE, "picture", "Prepare Picture"),
        (MATCH, "picture", "Prepare Picture"),
        (DIAGNOSIS, "clip", "Generate Video"),
    ],
)
def test_a_text_in_place_of_a_link_is_told(
    comfy: Comfy, server: ServerThread, picture: str, node_id: str, name: str, source: str
) -> None:
    graph = {
        **clip_graph(server.address, picture),
        **match_node(),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
    }
    # ComfyUI takes a constant for an input of any type of its own; the stub refuses it, so a text node brings it.
    graph[node_id]["inputs"][name] = "a text" if "COMFYUI" in os.environ else ["text", 0]
    if "COMFYUI" not in os.environ:
        graph["text"] = node("StillcueTestText", value="a text")
    only = {key: value for key, value in graph.items() if key in _needed(graph, node_id)}
    if node_id == GENERATE:
        only |= capture("frames", GENERATE, 1)
    assert comfy.run(only).error == f"{name} is 'a text' instead of a link; link it from a {source} node"


def _needed(graph: Graph, node_id: str) -> set[str]:
    """Returns a node and all before it."""
    links = [value[0] for value in graph[node_id]["inputs"].values() if isinstance(value, list)]
    return {node_id}.union(*(_needed(graph, link) for link in links))
