"""Step reuse of Generate Video: what the server is asked, what the node and the diagnosis say, older servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stillcue.v1 import generate_pb2
from tests.comfyui.graphs import DIAGNOSIS, GENERATE, clip_graph, node
from tests.comfyui.scripted import PackServer
from tests.comfyui.test_progress import texts_of
from tests.scripted_server import ScriptedServer, a_clip
from tests.scripted_server import serving as serving_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.stillcue_server import ServerThread


def sampling_of(server: ScriptedServer) -> generate_pb2.SamplingSpec:
    """The sampling of the only Generate request."""
    (request,) = (item for item in server.requests if isinstance(item, generate_pb2.GenerateRequest))
    return request.sampling


def test_text_and_diagnosis_tell_how_many_steps_reuse_earlier_ones(
    comfy: Comfy, server: ServerThread, picture: str
) -> None:
    graph = {
        **clip_graph(server.address, picture, steps=12, step_reuse="fast"),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
    }
    with comfy.listen() as listener:
        finished = comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        texts = texts_of(listener)
    assert finished.error == ""
    steps = [text for text in texts if text.startswith("denoising, ")]
    # Every even step but the last is reused, and takes no time: the time left follows from the mean.
    assert steps[:3] == [
        "denoising, high-noise expert: step 1 of 12\n1.00 s a step, 11 s left",
        "denoising, high-noise expert: step 2 of 12, 1 with reuse\n0.50 s a step, 5 s left",
        "denoising, high-noise expert: step 3 of 12, 1 with reuse\n0.67 s a step, 6 s left",
    ]
    assert steps[-1] == "denoising, low-noise expert: step 12 of 12, 5 with reuse\n0.58 s a step, 0 s left"
    report = finished.outputs[DIAGNOSIS]["text"][0].splitlines()
    assert "7 of 12 steps computed in full, 5 reused" in report


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({}, generate_pb2.STEP_REUSE_UNSPECIFIED),
        ({"step_reuse": "server's default"}, generate_pb2.STEP_REUSE_UNSPECIFIED),
        ({"step_reuse": "off"}, generate_pb2.STEP_REUSE_OFF),
        ({"step_reuse": "balanced"}, generate_pb2.STEP_REUSE_BALANCED),
    ],
    ids=["input of an older workflow", "default", "off", "balanced"],
)
def test_the_choice_is_sent(comfy: Comfy, picture: str, choice: dict[str, str], sent: generate_pb2.StepReuse) -> None:
    with serving_script(PackServer()) as server:
        assert comfy.run(clip_graph(server.target, picture, **choice)).error == ""
    assert sampling_of(server).step_reuse == sent


def older_clip(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[generate_pb2.GenerateResponse]:
    """A clip of a server that knows nothing of reuse."""
    for response in a_clip(request, context):
        match response.WhichOneof("event"):
            case "accepted":
                response.accepted.settings.ClearField("step_reuse")
            case "denoise_progress":
                response.denoise_progress.ClearField("work")
            case "summary":
                response.summary.settings.ClearField("step_reuse")
                response.summary.ClearField("step_counts")
        yield response


def test_an_older_server_makes_the_clip_all_the_same(comfy: Comfy, picture: str) -> None:
    older = PackServer(older_clip, capability_changes={"step_reuse_supported": False, "device": ""})
    with serving_script(older) as server:
        answer = comfy.get("/stillcue/capabilities", address=server.target, tls="auto")
        graph = {
            **clip_graph(server.target, picture, step_reuse="fast"),
            DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
        }
        finished = comfy.run(graph)
    assert answer["step_reuse"] == ["server's default", "off"]
    assert finished.error == ""
    assert "computed in full" not in finished.outputs[DIAGNOSIS]["text"][0]
