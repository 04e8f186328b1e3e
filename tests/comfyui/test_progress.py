"""Bar, previews, frames and text as a front end gets them, in order; and a run without a front end."""

from __future__ import annotations

import io
import uuid
from threading import Semaphore
from typing import TYPE_CHECKING

from PIL import Image

import stillcue
from engine.testing.fake_engine import FakeEngine
from tests.comfyui.graphs import GENERATE, PROMPT, clip_graph
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import serving
from tests.scripted_server import serving as serving_script
from tests.serving import png

if TYPE_CHECKING:
    from tests.comfyui.comfy import Comfy
    from tests.comfyui.listener import Listener


def texts_of(listener: Listener) -> list[str]:
    """Returns the texts in Generate Video, in order."""
    found = [item.data for item in listener.messages if item.kind == "text" and item.data["node_id"] == GENERATE]
    return [item["text"] for item in found]


def test_the_bar_counts_steps_and_frames_each_with_a_picture(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine()) as server, comfy.listen() as listener:
        comfy.wait(comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id), listener)
        messages = [item for item in listener.messages if item.data.get("node") == GENERATE or item.kind == "preview"]
    bars = [(item.data["value"], item.data["max"]) for item in messages if item.kind == "progress"]
    # 4 steps and 9 frames; the summary sets the bar to its end once more.
    assert bars == [(value, 13) for value in (*range(1, 14), 13)]
    kinds = [item.kind for item in messages if item.kind in {"progress", "preview"}]
    pictures = [Image.open(io.BytesIO(item.data["image"])) for item in messages if item.kind == "preview"]
    assert sorted(kinds) == ["preview"] * 13 + ["progress"] * 14
    assert [item.size for item in pictures] == [(256, 171)] * 13  # scaled up to be seen
    # Step k is k in all channels; frame i of seed 7 is (7 + i, i, 24).
    assert [item.convert("RGB").getpixel((0, 0)) for item in pictures[:4]] == [(k, k, k) for k in (1, 2, 3, 4)]
    for index, item in enumerate(pictures[4:]):
        pixel = item.convert("RGB").getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert all(abs(got - wanted) <= 3 for got, wanted in zip(pixel, (7 + index, index, 24), strict=True))


def test_the_text_tells_stage_expert_step_and_time(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine()) as server, comfy.listen() as listener:
        comfy.wait(comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id), listener)
        texts = texts_of(listener)
    assert texts[0] == "waiting for the server"
    assert texts[1].startswith("9 frames of 48x32 in 4 steps")
    assert [text for text in texts[2:] if text != "next in the queue"] == [
        "matching picture and sentence",
        "reading the sentence",
        "reading the picture",
        "denoising",
        "denoising, high-noise expert: step 1 of 4\n1.00 s a step, 3 s left",
        "denoising, high-noise expert: step 2 of 4\n1.00 s a step, 2 s left",
        "denoising, low-noise expert: step 3 of 4\n1.00 s a step, 1 s left",
        "denoising, low-noise expert: step 4 of 4\n1.00 s a step, 0 s left",
        "decoding frames",
        *(f"decoding frames: {count} of 9" for count in range(1, 10)),
        "done in 5.0 s, peak memory 0.00 GiB",
    ]


def test_the_text_tells_the_place_in_the_queue(comfy: Comfy, picture: str) -> None:
    gate = Semaphore(0)
    with serving(FakeEngine(gate=gate)) as server, comfy.listen() as listener:
        with stillcue.Client(server.address) as other:
            stream = other.generate(png(), PROMPT)
            next(stream)
            prompt_id = comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id)
            listener.wait_for(lambda item: "in the queue, 1 ahead" in str(item.data.get("text")))
            stream.cancel()
            gate.release(100)
            finished = comfy.wait(prompt_id, listener)
        texts = texts_of(listener)
    assert finished.error == ""
    assert texts.index(next(text for text in texts if text.startswith("in the queue, 1 ahead"))) < texts.index(
        "matching picture and sentence"
    )


def test_the_text_tells_planned_memory_and_a_single_transformer(comfy: Comfy, picture: str) -> None:
    with serving_script(PackServer()) as server, comfy.listen() as listener:
        comfy.wait(comfy.submit(clip_graph(server.target, picture), client_id=listener.client_id), listener)
        texts = texts_of(listener)
    assert texts[1] == "5 frames of 48x32 in 2 steps\nnote: soft picture"
    assert texts[-1] == "done in 3.0 s, peak memory 11.50 GiB"


def test_a_run_without_a_front_end_goes_the_same_way(comfy: Comfy, picture: str) -> None:
    with serving(FakeEngine()) as server, comfy.listen() as listener:
        # Another client's run says when the first one has ended: prompts run in order.
        graph = clip_graph(server.address, picture)
        first = comfy.submit(graph, client_id=uuid.uuid4().hex)
        comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        assert comfy.finished(first).error == ""
        assert texts_of(listener) == []
