"""Attempts of Generate Video: what the server is asked, what the node says, which clip comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from tests.comfyui.graphs import DIAGNOSIS, GENERATE, capture, clip_graph, node
from tests.comfyui.stillcue_server import serving
from tests.comfyui.test_progress import texts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.stillcue_server import ServerThread

# The fake engine judges a clip of seed s good with (s % 10) / 10, and accepts from 0.5 on.
_SEED = 3


def test_the_accepted_attempt_comes_out_and_every_one_is_told(
    comfy: Comfy, server: ServerThread, picture: str, captured: Callable[[str], Any]
) -> None:
    graph = {
        **clip_graph(server.address, picture, seed=_SEED, attempts=4),
        **capture("seed", GENERATE, 3),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
    }
    with comfy.listen() as listener:
        finished = comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        texts = texts_of(listener)
    assert finished.error == ""
    assert [text for text in texts if text.startswith("attempt") and "denoising" not in text] == [
        line
        for number, seed, outcome in ((1, 3, "not accepted"), (2, 4, "not accepted"), (3, 5, "accepted"))
        for line in (
            *(f"attempt {number} of 4: {stage}" for stage in _STAGES),
            f"attempt {number}, seed {seed}, good with {10 * seed} %: {outcome}",
        )
    ]
    assert "attempt 2 of 4: denoising, low-noise expert: step 4 of 4\n1.00 s a step, 0 s left" in texts
    assert captured("seed") == 5
    frames = np.rint(captured("frames") * 255)
    assert frames[:, 0, 0].tolist() == [[5 + index, index, 24] for index in range(9)]  # frames of seed 5
    report = finished.outputs[DIAGNOSIS]["text"][0].splitlines()
    assert report[0].endswith("seed 5")
    start = report.index("attempt 1, seed 3, good with 30 %: not accepted")
    assert report[start + 1 : start + 4] == [
        "attempt 2, seed 4, good with 40 %: not accepted",
        "attempt 3, seed 5, good with 50 %: accepted, delivered",
        "the clip is good with 50 % (measured)",
    ]


_STAGES = ("matching picture and sentence", "reading the sentence", "reading the picture", "decoding frames")


def test_one_attempt_is_the_default_and_is_not_numbered(comfy: Comfy, server: ServerThread, picture: str) -> None:
    with comfy.listen() as listener:
        graph = clip_graph(server.address, picture, seed=_SEED)
        assert comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener).error == ""
        assert not any("attempt" in text for text in texts_of(listener))


def test_a_server_that_cannot_judge_clips_is_told_before_the_call(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine(capabilities=replace(FAKE_CAPABILITIES, accept_from=None))) as server:
        error = comfy.run(clip_graph(server.address, picture, attempts=2)).error
    assert error == (
        f"attempts is 2, but {server.address} cannot judge clips: its bundle has no fitted success of clips, or it is "
        "older than this pack; set attempts to 1"
    )
