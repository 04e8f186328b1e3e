"""What runs again and what does not; two runs at once; broken connections; a newer server."""

from __future__ import annotations

from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.settings import Address
from stillcue.v1 import generate_pb2, media_pb2
from tests.comfyui.graphs import DIAGNOSIS, GENERATE, MATCH, PREPARE, capture, clip_graph, match_node, node
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import serving
from tests.comfyui.test_connections import free_port
from tests.relay import Relay
from tests.scripted_server import MATCH_REPORT, Response, a_clip
from tests.scripted_server import serving as serving_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stillcue.v1 import match_pb2
    from tests.comfyui.comfy import Comfy

CALLS_OF_A_CLIP = 10


def test_equal_inputs_are_generated_once(comfy: Comfy, picture: str) -> None:
    engine = FakeEngine()
    with serving(engine) as server:
        comfy.run(clip_graph(server.address, picture, seed=1))
        again = comfy.run(clip_graph(server.address, picture, seed=1))
        assert again.cached_nodes >= {GENERATE, PREPARE}
        assert len(engine.graph_calls) == CALLS_OF_A_CLIP
        comfy.run(clip_graph(server.address, picture, seed=2))
        assert len(engine.graph_calls) == 2 * CALLS_OF_A_CLIP


def test_another_model_generates_again_and_an_absent_server_does_not(comfy: Comfy, picture: str) -> None:
    address = Address("127.0.0.1", free_port())
    graph = clip_graph(str(address), picture)
    engines = [FakeEngine(), FakeEngine(capabilities=replace(FAKE_CAPABILITIES, bundle_digest="2" * 64))]
    for engine in engines:
        with serving(engine, listen=address):
            assert comfy.run(graph).error == ""
        # The server is away: the clip of its last known model is still there.
        assert GENERATE in comfy.run(graph).cached_nodes
    assert [len(engine.graph_calls) for engine in engines] == [CALLS_OF_A_CLIP] * 2


def test_two_runs_at_once_are_done_one_after_the_other(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    engine = FakeEngine()
    with serving(engine) as server, comfy.listen() as listener:
        graphs = [
            {**clip_graph(server.address, picture, seed=seed), **capture(f"frames {seed}", GENERATE, 1)}
            for seed in (20, 30)
        ]
        ids = [comfy.submit(graph, client_id=listener.client_id) for graph in graphs]
        for prompt_id in ids:
            assert comfy.wait(prompt_id, listener).error == ""
    assert [round(float(captured(f"frames {seed}")[0, 0, 0, 0]) * 255) for seed in (20, 30)] == [20, 30]


def test_a_broken_connection_resumes(comfy: Comfy, picture: str, captured: Callable[[str], Any]) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    with serving(engine) as server, Relay(server.served.port) as relay, comfy.listen() as listener:
        prompt_id = comfy.submit(clip_graph(relay.target, picture), client_id=listener.client_id)
        for permits, text in ((4, "step 1 of 4"), (4, "decoding frames: 1 of 9"), (1, "decoding frames: 5 of 9")):
            gate.release(permits)
            listener.wait_for(lambda item, text=text: text in str(item.data.get("text")))  # type: ignore[misc]
            relay.cut()
        gate.release(100)
        finished = comfy.wait(prompt_id, listener)
        server.reaches("stillcue_streams_resumed_total", 3)
    assert finished.error == ""
    frames = np.rint(captured("frames") * 255).astype(int)
    assert frames[:, 0, 0].tolist() == [[7 + index, index, 24] for index in range(9)]
    assert len(engine.graph_calls) == CALLS_OF_A_CLIP


def test_values_that_only_a_newer_server_knows_are_told_as_unknown(
    comfy: Comfy, picture: str, captured: Callable[[str], Any]
) -> None:
    def newer_clip(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for message in a_clip(request, context):
            if message.WhichOneof("event") == "denoise_progress":
                message.denoise_progress.expert = 99  # type: ignore[assignment]
            yield message
            if message.WhichOneof("event") == "accepted":
                yield Response(stage_started=generate_pb2.StageStarted(stage=99))  # type: ignore[arg-type]
                yield Response()  # an event of a kind that is not known

    def newer_score(request: match_pb2.ScoreMatchRequest, context: Any) -> match_pb2.MatchReport:
        report = type(MATCH_REPORT)()
        report.CopyFrom(MATCH_REPORT)
        report.verdict = 99  # type: ignore[assignment]
        report.clauses[0].kind = 99  # type: ignore[assignment]
        return report

    with serving_script(PackServer(generate=newer_clip, score=newer_score)) as server:
        graph = {
            **clip_graph(server.target, picture),
            **match_node(),
            **capture("verdict", MATCH, 3),
            **capture("report", MATCH, 4),
            DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
        }
        assert comfy.run(graph).error == ""
    assert captured("verdict") == "unknown"
    assert "unknown “" in captured("report")


def test_frames_of_another_size_or_number_are_a_clear_error(comfy: Comfy, picture: str) -> None:
    def short(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for message in a_clip(request, context):
            if message.frame.index != 4:
                yield message

    def wrong(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for message in a_clip(request, context):
            if message.WhichOneof("event") == "frame":
                message.frame.data, message.frame.width_px = bytes(3), 1
                message.frame.height_px = 1
            yield message

    def damaged(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for message in a_clip(request, context):
            if message.WhichOneof("event") == "frame":
                message.frame.data, message.frame.encoding = b"no picture", media_pb2.FRAME_ENCODING_PNG
            yield message

    errors = []
    for script in (short, wrong, damaged):
        with serving_script(PackServer(generate=script)) as server:
            errors.append(comfy.run(clip_graph(server.target, picture)).error)
    assert errors[0] == "the server sent 4 of 5 frames; run again, or tell its operator"
    assert errors[1] == "the server sent frame 0 of shape (1, 1, 3) in a clip of (5, 32, 48, 3)"
    assert errors[2].startswith("the server sent a picture that cannot be read (")
