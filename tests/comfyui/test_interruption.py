"""Cancel in ComfyUI: the job on the server ends with the graph call in progress, and the run with no error."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING

import pytest

import stillcue
from engine.api.job import ClipPlan
from engine.testing.fake_engine import FakeEngine
from tests.comfyui.graphs import MATCH, PROMPT, clip_graph, match_node, prepare_graph
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import ServerThread, serving
from tests.scripted_server import serving as serving_script
from tests.serving import png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from engine.api.match_report import MatchReport
    from engine.api.media import Image
    from stillcue.v1 import capabilities_pb2
    from tests.comfyui.comfy import Comfy
    from tests.comfyui.listener import Message

TO_DENOISE = ["match", "encode_text", "encode_image"]


@contextmanager
def gated() -> Iterator[tuple[ServerThread, FakeEngine, Semaphore]]:
    """Serves an engine that makes a graph call for each permit; the rest goes on at the end."""
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    with serving(engine) as server:
        try:
            yield server, engine, gate
        finally:
            gate.release(1000)


def shows(text: str) -> Any:
    def matches(message: Message) -> bool:
        return message.kind == "text" and str(message.data["text"]).startswith(text)

    return matches


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        ([*TO_DENOISE, "denoise 1", "denoise 2"], "denoising, high-noise expert: step 2 of 4"),
        (
            [*TO_DENOISE, "denoise 1", "denoise 2", "denoise 3", "denoise 4", "decode 0", "decode 1"],
            "decoding frames: 5 of 9",
        ),
    ],
    ids=["step", "decode"],
)
def test_cancel_ends_the_job_with_the_call_in_progress(comfy: Comfy, picture: str, calls: list[str], text: str) -> None:
    with gated() as (server, engine, gate), comfy.listen() as listener:
        prompt_id = comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id)
        gate.release(len(calls))
        listener.wait_for(shows(text))
        comfy.interrupt()
        finished = comfy.wait(prompt_id, listener)
        assert (finished.is_interrupted, finished.error) == (True, "")
        assert [item.data["text"] for item in listener.messages if item.kind == "text"][-1].startswith("cancelled")
        gate.release()  # the call in progress ends
        server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        server.reaches("stillcue_running_jobs", 0)
        gate.release(100)
        assert engine.graph_calls == calls


def test_cancel_in_the_queue_takes_the_job_out(comfy: Comfy, picture: str) -> None:
    with gated() as (server, engine, gate), comfy.listen() as listener, stillcue.Client(server.address) as other:
        stream = other.generate(png(), PROMPT)
        next(stream)
        server.reaches("stillcue_running_jobs", 1)
        prompt_id = comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id)
        listener.wait_for(shows("in the queue, 1 ahead"))
        comfy.interrupt()
        assert comfy.wait(prompt_id, listener).is_interrupted
        server.reaches("stillcue_queue_jobs", 0)
        gate.release(100)
        assert len([event for event in stream if isinstance(event, stillcue.Frame)]) == 9
        assert len(engine.graph_calls) == 10  # of the other caller's clip


def test_cancel_while_scoring_ends_the_call(comfy: Comfy, picture: str) -> None:
    class Scoring(FakeEngine):
        may_end = threading.Event()

        def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
            if prompt != PROMPT:
                self.may_end.wait(30)
            return super().score_match(image, prompt, plan)

    with serving(Scoring()) as server, comfy.listen() as listener:
        graph = {**prepare_graph(server.address, picture), **match_node(prompt="another fox sleeps")}
        prompt_id = comfy.submit(graph, client_id=listener.client_id)
        listener.wait_for(lambda item: item.kind == "executing" and item.data["node"] == MATCH)
        server.reaches(f"grpc_server_started_total{{{_CALL}}}", 2)
        comfy.interrupt()
        finished = comfy.wait(prompt_id, listener)
        server.reaches(f"grpc_server_handled_total{{grpc_code=CANCELLED,{_CALL}}}", 1)
        Scoring.may_end.set()
    assert (finished.is_interrupted, finished.error) == (True, "")


_CALL = "grpc_method=ScoreMatch,grpc_service=stillcue.v1.StillcueService,grpc_type=unary"


def test_cancel_while_a_server_does_not_answer(comfy: Comfy, picture: str) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    class Silent(PackServer):
        def GetCapabilities(
            self, request: capabilities_pb2.GetCapabilitiesRequest, context: Any
        ) -> capabilities_pb2.GetCapabilitiesResponse:
            if self.requests:  # the first one is the fingerprint's
                asked.set()
                may_answer.wait(30)
            return super().GetCapabilities(request, context)

    with serving_script(Silent()) as server, comfy.listen() as listener:
        prompt_id = comfy.submit(prepare_graph(server.target, picture), client_id=listener.client_id)
        assert asked.wait(20)
        comfy.interrupt()
        finished = comfy.wait(prompt_id, listener)
        may_answer.set()
    assert (finished.is_interrupted, finished.error) == (True, "")


def test_the_run_after_a_cancelled_one_is_not_cancelled(comfy: Comfy, picture: str) -> None:
    with gated() as (server, _, gate), comfy.listen() as listener:
        graph = clip_graph(server.address, picture)
        prompt_id = comfy.submit(graph, client_id=listener.client_id)
        gate.release()
        listener.wait_for(shows("reading the sentence"))
        comfy.interrupt()
        assert comfy.wait(prompt_id, listener).is_interrupted
        gate.release(100)
        assert comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener).error == ""
