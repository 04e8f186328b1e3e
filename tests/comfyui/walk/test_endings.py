"""Programs that end while a clip is made: ComfyUI, or the server."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.conftest import PACKS, gradient_png
from tests.comfyui.graphs import GENERATE, generate_node, node, prepare_graph
from tests.comfyui.real_comfy import RealComfy, real_comfy
from tests.comfyui.serving_process import POCKET, ServingProcess, serving
from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.comfyui.comfy import Comfy, Graph
    from tests.comfyui.installation import Installation
    from tests.comfyui.listener import Message

SENTENCE = "A red car slowly rolls to the right."


def long_graph(address: str, picture: str, seed: int) -> Graph:
    return {
        **prepare_graph(address, picture, prompt=SENTENCE, size="64x64"),
        **generate_node(prompt=SENTENCE, steps=100, seed=seed),
        "shown": node("PreviewAny", source=[GENERATE, 1]),
    }


def has_begun(message: Message) -> bool:
    return message.kind == "progress" and message.data["value"] >= 5


@pytest.fixture
def own_comfy(installation: Installation, tmp_path: Path) -> Iterator[RealComfy]:
    """A ComfyUI that the test may end."""
    with real_comfy(installation, tmp_path / "comfyui", PACKS, {}) as running:
        yield running


def test_comfyui_is_stopped_during_a_run(own_comfy: RealComfy, pocket: ServingProcess) -> None:
    picture = own_comfy.put_picture("demo.png", DEMO_PICTURE.read_bytes())
    cancelled = pocket.sample('jobs_total{outcome="cancelled"}')
    with own_comfy.listen() as listener:
        own_comfy.submit(long_graph(pocket.address, picture, 400), client_id=listener.client_id)
        listener.wait_for(has_begun)
        own_comfy.end(signal.SIGINT)
    pocket.reaches('jobs_total{outcome="cancelled"}', cancelled + 1)
    pocket.reaches("running_jobs", 0)


def test_comfyui_is_killed_during_a_run(own_comfy: RealComfy) -> None:
    picture = own_comfy.put_picture("demo.png", gradient_png(48, 32))
    with serving("--engine", "fake", module="tests.gated_server") as gated:
        with own_comfy.listen() as listener:
            graph = {
                **prepare_graph(gated.address, picture),
                **generate_node(),
                "shown": node("PreviewAny", source=[GENERATE, 1]),
            }
            own_comfy.submit(graph, client_id=listener.client_id)
            assert gated.permit(4)[-1] == "denoise 1"
            listener.wait_for(lambda message: message.kind == "progress")
            own_comfy.end(signal.SIGKILL)
        # The connection may be back within the resume window, so the job waits that long and no longer.
        gated.reaches("detached_jobs", 1)
        gated.reaches('jobs_total{outcome="reader_gone"}', 1)


def test_the_server_is_killed_during_a_run_and_started_again(comfy: Comfy) -> None:
    picture = comfy.put_picture("demo.png", DEMO_PICTURE.read_bytes())
    with serving("--bundle", str(POCKET)) as first, comfy.listen() as listener:
        prompt_id = comfy.submit(long_graph(first.address, picture, 401), client_id=listener.client_id)
        listener.wait_for(has_begun)
        first.kill()
        finished = comfy.wait(prompt_id, listener)
    assert finished.status == "error"
    assert "the connection broke" in finished.error
    assert "the clip is lost; run again" in finished.error
    with serving("--bundle", str(POCKET), port=int(first.address.rpartition(":")[2])):
        assert comfy.run(long_graph(first.address, picture, 401)).status == "success"
