"""Match Score: the gate stops the graph with the report; what a model without a scorer means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from tests.comfyui.graphs import (
    GENERATE,
    MATCH,
    PREPARE,
    PROMPT,
    capture,
    generate_node,
    match_node,
    prepare_graph,
)
from tests.comfyui.stillcue_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy, Graph

WITHOUT_SCORER = replace(FAKE_CAPABILITIES, match_supported=False)


def gated_graph(address: str, picture: str, **inputs: Any) -> Graph:
    return {
        **prepare_graph(address, picture),
        **match_node(**inputs),
        **generate_node(picture=[MATCH, 0], prompt=[MATCH, 1]),
        **capture("frames", GENERATE, 1),
    }


def test_below_the_minimum_the_graph_stops_with_the_report(comfy: Comfy, picture: str) -> None:
    engine = FakeEngine()
    with serving(engine) as server:
        finished = comfy.run(gated_graph(server.address, picture, minimum_score=61.0))
    assert finished.status == "error"
    assert finished.error.startswith(
        "the match score is 60.0, below the minimum_score of 61; no clip was made. "
        "Change what the report names, or lower minimum_score.\nmatch 60 of 100, doubtful"
    )
    assert engine.graph_calls == []


def test_at_the_minimum_the_graph_goes_on(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine()) as server:
        assert comfy.run(gated_graph(server.address, picture, minimum_score=60.0)).error == ""


def test_a_sentence_without_words_is_told_by_the_name_of_the_input(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine()) as server:
        finished = comfy.run({**prepare_graph(server.address, picture), **match_node(prompt=" ")})
    assert finished.error.splitlines()[:2] == [
        "the request is wrong:",
        "  prompt is empty; name the subject of the picture and what it does",
    ]


def test_without_a_scorer_the_graph_goes_on_unscored(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    with serving(FakeEngine(capabilities=WITHOUT_SCORER)) as server:
        graph = {
            **gated_graph(server.address, picture),
            **capture("score", MATCH, 2),
            **capture("verdict", MATCH, 3),
            **capture("report", MATCH, 4),
            **capture("rewritten", MATCH, 5),
            **capture("crop", MATCH, 7),
            **capture("preview", PREPARE, 1),
        }
        assert comfy.run(graph).error == ""
    assert (captured("score"), captured("verdict"), captured("rewritten")) == (-1.0, "unknown", PROMPT)
    assert captured("report") == "the server's model has no scorer: picture and sentence go on unscored"
    assert np.array_equal(captured("crop"), captured("preview"))


def test_without_a_scorer_a_minimum_is_refused(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine(capabilities=WITHOUT_SCORER)) as server:
        finished = comfy.run(gated_graph(server.address, picture, minimum_score=5.0))
    assert finished.error == (
        "minimum_score is 5, but the model fake has no scorer; set it to 0, or choose a server with a scorer"
    )


@pytest.mark.parametrize("fit", ["crop_center", "pad", "refuse"])
def test_without_a_scorer_the_picture_is_fitted_in_comfyui(
    comfy: Comfy, picture: str, captured: Callable[[str], Any], fit: str
) -> None:
    with serving(FakeEngine(capabilities=WITHOUT_SCORER)) as server:
        graph = {
            **prepare_graph(server.address, picture, size="48x32", fit=fit),
            **capture("report", PREPARE, 2),
            **capture("preview", PREPARE, 1),
        }
        assert comfy.run(graph).error == ""
    assert captured("report") == (
        f"the clip starts from 48x32 px ({fit})\nthe model fake has no scorer: the picture was fitted in ComfyUI, and "
        "its faults and its subject were not looked for\npicture 48x32"
    )
    assert captured("preview").shape == (1, 32, 48, 3)


def test_without_a_scorer_nothing_is_cropped_to_the_subject(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine(capabilities=WITHOUT_SCORER)) as server:
        finished = comfy.run(prepare_graph(server.address, picture, fit="crop_subject"))
    assert finished.error == (
        "fit is crop_subject, but this server's model has no scorer that could find the subject; choose crop_center or "
        "pad"
    )
