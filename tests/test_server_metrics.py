"""Metrics over HTTP are exact after every way in which a call can end."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Semaphore
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.errors import OutOfMemory
from engine.api.events import Stage
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from scripts.docs_tables import DOCUMENTATION, updated
from server.errors.rules import INTERNAL, RULES
from server.observability.metrics import Metrics
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2, media_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.faulty_engine import FaultyEngine
from tests.serving import PROMPT, Served, failure_of, generate_request, png, read_all, served

SERVICE = "grpc_service=stillcue.v1.StillcueService"
GENERATE = f"grpc_method=Generate,{SERVICE},grpc_type=server_stream"
SCORE_MATCH = f"grpc_method=ScoreMatch,{SERVICE},grpc_type=unary"
CAPABILITIES = f"grpc_method=GetCapabilities,{SERVICE},grpc_type=unary"
OTHER = "grpc_method=other,grpc_service=other,grpc_type=other"


async def rpc_truth(server: Served) -> dict[str, float]:
    """Every counter of calls and jobs that is not 0."""
    prefixes = ("grpc_server_started", "grpc_server_handled", "grpc_server_msg_sent", "stillcue_jobs")
    return {name: value for name, value in (await server.samples()).items() if name.startswith(prefixes) and value}


async def test_a_completed_job(promise: Callable[[str, str], None]) -> None:
    stream = generate_pb2.StreamSpec(preview_every_step_count=1)
    async with served(FakeEngine(), queue_capacity=3) as server:
        await read_all(server.stub.Generate(generate_request(stream=stream)))
        assert await rpc_truth(server) == {
            f"grpc_server_started_total{{{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=OK,{GENERATE}}}": 1,
            f"grpc_server_msg_sent_total{{{GENERATE}}}": 21,
            "stillcue_jobs_total{outcome=completed}": 1,
        }
        samples = await server.samples()
    assert samples["stillcue_queue_jobs"] == 0
    assert samples["stillcue_queue_capacity_jobs"] == 3
    assert samples["stillcue_running_jobs"] == 0
    assert samples["stillcue_gpu_memory_peak_bytes"] == 1_000
    counts = {
        f"grpc_server_handling_seconds_count{{{GENERATE}}}": 1,
        "stillcue_job_queue_seconds_count": 1,
        "stillcue_time_to_first_preview_seconds_count": 1,
        "stillcue_time_to_first_frame_seconds_count": 1,
        "stillcue_frame_interval_seconds_count": 8,
        "stillcue_stream_stall_seconds_count": 21,
        "stillcue_cancel_latency_seconds_count": 0,
        "stillcue_denoise_step_seconds_count{expert=high_noise,work=full}": 2,
        "stillcue_denoise_step_seconds_sum{expert=high_noise,work=full}": 2,
        "stillcue_denoise_step_seconds_count{expert=low_noise,work=full}": 2,
        "stillcue_match_score_count": 1,
        "stillcue_match_score_sum": 60,
        "stillcue_job_match_score_sum{outcome=completed}": 60,
        **{
            f"stillcue_stage_seconds_sum{{stage={stage}}}": 1
            for stage in ("match", "encode_text", "encode_image", "denoise", "decode")
        },
        "stillcue_build_info{bundle_digest=" + "0" * 64 + ",device=cpu,model=fake,runtime=fake,version=0.1.0}": 1,
    }
    assert {name: samples[name] for name in counts} == counts
    promise("metrics", f"{len(counts)} of {len(counts)} samples of a completed job")


async def test_every_other_end(promise: Callable[[str, str], None]) -> None:
    gate = Semaphore(2)
    score_request = match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=PROMPT)
    async with served(FakeEngine(gate=gate), queue_capacity=0) as server:
        call = server.stub.Generate(generate_request())
        for _ in range(5):  # accepted, match, its report, text, picture: the engine stands before its third call
            await anext(aiter(call))
        await failure_of(server.stub.Generate(generate_request()))
        assert await server.sample("stillcue_running_jobs") == 1
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release()
        await server.reaches("stillcue_cancel_latency_seconds_count", 1)
        assert await server.sample("stillcue_running_jobs") == 0
        await failure_of(server.stub.Generate(generate_request(request_id="job-1")))
        await failure_of(server.stub.Generate(generate_request(video=generate_pb2.VideoSpec(frame_count=13))))
        await server.stub.ScoreMatch(score_request)
        await failure_of(server.stub.ScoreMatch(match_pb2.ScoreMatchRequest()))
        await server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
        channel: Any = server.channel
        await failure_of(channel.unary_unary("/stillcue.v1.StillcueService/Nothing")(b""))
        await failure_of(channel.unary_unary("/nobody/Nothing")(b""))
        await server.reaches(f"grpc_server_handled_total{{grpc_code=CANCELLED,{GENERATE}}}", 1)
        assert await rpc_truth(server) == {
            f"grpc_server_started_total{{{GENERATE}}}": 4,
            f"grpc_server_started_total{{{SCORE_MATCH}}}": 2,
            f"grpc_server_started_total{{{CAPABILITIES}}}": 1,
            f"grpc_server_started_total{{{OTHER}}}": 2,
            f"grpc_server_handled_total{{grpc_code=CANCELLED,{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=RESOURCE_EXHAUSTED,{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=INVALID_ARGUMENT,{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=FAILED_PRECONDITION,{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=OK,{SCORE_MATCH}}}": 1,
            f"grpc_server_handled_total{{grpc_code=INVALID_ARGUMENT,{SCORE_MATCH}}}": 1,
            f"grpc_server_handled_total{{grpc_code=OK,{CAPABILITIES}}}": 1,
            f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}": 2,
            f"grpc_server_msg_sent_total{{{GENERATE}}}": 5,
            f"grpc_server_msg_sent_total{{{SCORE_MATCH}}}": 1,
            f"grpc_server_msg_sent_total{{{CAPABILITIES}}}": 1,
            "stillcue_jobs_total{outcome=cancelled}": 1,
            "stillcue_jobs_rejected_total{reason=queue_full}": 1,
            "stillcue_jobs_rejected_total{reason=invalid_job}": 1,
            "stillcue_jobs_rejected_total{reason=not_compiled}": 1,
        }
        assert await server.sample("stillcue_match_score_count") == 2
        assert await server.sample("stillcue_job_match_score_sum{outcome=cancelled}") == 60
    promise("metrics", "9 calls with 6 statuses: every counter as counted by hand")


async def test_engine_time_counts_for_the_outcome() -> None:
    gate = Semaphore(GRAPH_CALL_COUNT)
    async with served(FakeEngine(gate=gate, call_seconds=0.002)) as server:
        began_at = time.perf_counter()
        await read_all(server.stub.Generate(generate_request()))
        await server.reaches("stillcue_running_jobs", 0)
        completed_within = time.perf_counter() - began_at
        running, waiting = (server.stub.Generate(generate_request()) for _ in range(2))
        await anext(aiter(running))
        await anext(aiter(waiting))
        waiting.cancel()  # holds no engine
        running.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 2)
        name = "stillcue_engine_seconds_total{outcome=cancelled}"
        assert await server.sample(name) == 0  # the engine waits for its first call
        gate.release()
        await server.reaches("stillcue_running_jobs", 0)
        samples = await server.samples()
    seconds = {
        key: value for key, value in samples.items() if key.startswith("stillcue_engine_seconds_total") and value
    }
    assert set(seconds) == {name, "stillcue_engine_seconds_total{outcome=completed}"}
    assert GRAPH_CALL_COUNT * 0.002 <= seconds["stillcue_engine_seconds_total{outcome=completed}"] <= completed_within


async def test_a_failed_job() -> None:
    async with served(FaultyEngine(RuntimeError("broken"))) as server:
        await failure_of(server.stub.Generate(generate_request()))
        assert await rpc_truth(server) == {
            f"grpc_server_started_total{{{GENERATE}}}": 1,
            f"grpc_server_handled_total{{grpc_code=INTERNAL,{GENERATE}}}": 1,
            f"grpc_server_msg_sent_total{{{GENERATE}}}": 2,
            "stillcue_jobs_total{outcome=internal}": 1,
        }
        assert await server.sample("stillcue_gpu_oom_total") == 0


async def test_a_device_without_memory() -> None:
    async with served(FaultyEngine(OutOfMemory("full"))) as server:
        await failure_of(server.stub.Generate(generate_request()))
        image = media_pb2.Image(data=png())
        await failure_of(server.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=image, prompt=PROMPT)))
        assert await server.sample("stillcue_gpu_oom_total") == 2
        assert await server.sample("stillcue_jobs_total{outcome=out_of_memory}") == 1


async def test_what_can_be_counted_stands_at_zero_before_it_happens() -> None:
    async with served(FakeEngine()) as server:
        samples = await server.samples()
    reasons = {rule.reason.lower() for rule in [*RULES.values(), INTERNAL]}
    calls = [GENERATE, SCORE_MATCH, CAPABILITIES]
    zeros = {
        *(f"stillcue_jobs_total{{outcome={outcome}}}" for outcome in {*reasons, "completed"}),
        *(f"stillcue_jobs_rejected_total{{reason={reason}}}" for reason in reasons),
        *(f"grpc_server_started_total{{{call}}}" for call in calls),
        *(f"grpc_server_handled_total{{grpc_code={code},{call}}}" for code in ("OK", "INTERNAL") for call in calls),
    }
    assert {samples[name] for name in zeros} == {0}


async def test_serving_is_what_health_says() -> None:
    gate, hurry = Semaphore(0), asyncio.Event()
    async with served(FakeEngine(gate=gate)) as server:
        assert await server.sample("stillcue_serving") == 1
        call = server.stub.Generate(generate_request())
        await anext(aiter(call))
        draining = asyncio.create_task(server.server.drain(hurry))
        await server.reaches("stillcue_serving", 0)
        gate.release(20)
        await read_all(call)
        await draining


async def test_memory_is_told_as_it_was_planned() -> None:
    geometry = Geometry(32, 32, 9)
    stages = tuple(
        StageMemory(Stage.DENOISE, None, (), (), (), weight_bytes=weights, scratch_bytes=20, buffer_bytes=3)
        for weights in (100, 400)
    )
    planned = replace(FAKE_CAPABILITIES, memory_budget_bytes=1_000, memory_plans=(MemoryPlan(geometry, stages),))
    async with served(FakeEngine(capabilities=planned)) as server:
        assert await server.sample("stillcue_memory_planned_bytes") == 423
        assert await server.sample("stillcue_memory_budget_bytes") == 1_000
    async with served(FakeEngine()) as server:
        assert await server.sample("stillcue_memory_budget_bytes") == math.inf


async def test_the_process_is_this_one() -> None:
    started_at = psutil.Process().create_time()
    async with served(FakeEngine()) as server:
        assert await server.sample("process_start_time_seconds") == pytest.approx(started_at, abs=1)
        assert 0 < await server.sample("process_open_fds") < await server.sample("process_max_fds")


async def test_what_started_was_handled_and_nothing_is_left_after_many_ends(
    promise: Callable[[str, str], None],
) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine, queue_capacity=4) as server:
        calls = []
        for _ in range(5):
            calls.append(server.stub.Generate(generate_request()))
            await anext(aiter(calls[-1]))  # it has its place
        for _ in range(15):
            await failure_of(server.stub.Generate(generate_request()))
        for call in calls[::2]:
            call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 3)
        gate.release(1 + 20)  # one for the job that was cancelled in the engine
        for call in calls[1::2]:
            await read_all(call)
        await server.reaches(f"grpc_server_handled_total{{grpc_code=CANCELLED,{GENERATE}}}", 3)
        samples = await server.samples()
    handled = sum(value for name, value in samples.items() if name.startswith("grpc_server_handled_total"))
    assert handled == samples[f"grpc_server_started_total{{{GENERATE}}}"] == 20
    assert samples["stillcue_jobs_rejected_total{reason=queue_full}"] == 15
    assert samples["stillcue_jobs_total{outcome=completed}"] == 2
    assert samples["stillcue_queue_jobs"] == 0
    assert len(engine.graph_calls) == 20
    promise("nothing_left", "20 started, 20 handled: 2 completed, 3 cancelled, 15 refused; 0 waiting")


async def test_the_exported_names_are_the_documented_ones() -> None:
    async with served(FakeEngine()) as server:
        text = await server.scrape_text()
    # The parser names a counter's family without its suffix.
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(text)
    }
    assert exported == {row.name for row in Metrics().rows}


@pytest.mark.parametrize("name", ["settings.md", "metrics.md", "errors.md"])
def test_the_tables_of_the_documentation_are_current(name: str) -> None:
    page = (DOCUMENTATION / name).read_text(encoding="utf-8")
    assert page == updated(name, page), "run python -m scripts.docs_tables"


def test_every_reason_is_told_once() -> None:
    reasons = [rule.reason for rule in [*RULES.values(), INTERNAL]]
    assert len(reasons) == len(set(reasons))


async def test_promtool_finds_no_fault() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(generate_request()))
        text = await server.scrape_text()
    check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
