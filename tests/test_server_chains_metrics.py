"""What operators see of chains: metrics, exemplars and spans."""

from __future__ import annotations

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine.testing.fake_engine import FakeEngine
from server.observability.spans import Tracing
from stillcue.v1 import match_pb2
from tests.chaining import chain_request
from tests.serving import generate_request, read_all, served

STRICT = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=55)  # the second sentence has 50
OFF = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF)


async def test_a_chain_counts_its_segments_and_seams_once_and_its_stages_by_segment() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(chain_request()))
        found = await server.samples()
    assert found["stillcue_chains_total{outcome=complete}"] == 1
    assert found["stillcue_chains_total{outcome=stopped}"] == 0
    assert found["stillcue_segments_total"] == 3
    assert found["stillcue_seam_motion_jump_count"] == found["stillcue_seam_colour_shift_count"] == 2
    assert round(found["stillcue_seam_motion_jump_sum"], 9) == 2 * 0.01
    assert round(found["stillcue_seam_colour_shift_sum"], 9) == 2 * 0.001
    assert found["stillcue_chain_subject_consistency_sum"] == 0.9
    assert found["stillcue_chain_loop_back_sum"] == 0.1
    stages = {stage: found[f"stillcue_stage_seconds_count{{stage={stage}}}"] for stage in ("encode_text", "denoise")}
    assert stages == {"encode_text": 1, "denoise": 3}
    assert found["stillcue_stage_seconds_sum{stage=denoise}"] == 3.0
    assert found["stillcue_clip_success_count"] == found["stillcue_match_score_count"] == 1
    assert found["stillcue_frame_interval_seconds_count"] == 8 + 3 + 3  # within the segments


async def test_a_clip_of_one_segment_is_no_chain() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(generate_request()))
        found = await server.samples()
    assert {found[f"stillcue_chains_total{{outcome={outcome}}}"] for outcome in ("complete", "stopped")} == {0.0}
    assert found["stillcue_segments_total"] == found["stillcue_seam_motion_jump_count"] == 0


async def test_a_stopped_chain_counts_as_stopped_and_the_job_as_completed() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(chain_request(match=STRICT)))
        found = await server.samples()
    assert found["stillcue_chains_total{outcome=stopped}"] == found["stillcue_segments_total"] == 1
    assert found["stillcue_chains_total{outcome=complete}"] == 0
    assert found["stillcue_jobs_total{outcome=completed}"] == 1


async def test_the_drift_of_a_chain_that_is_not_scored_is_unknown() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(chain_request(match=OFF)))
        found = await server.samples()
    assert found["stillcue_chain_subject_consistency_count"] == found["stillcue_chain_loop_back_count"] == 0
    assert found["stillcue_seam_motion_jump_count"] == 2


async def test_the_spans_of_stages_tell_their_segment() -> None:
    exporter = InMemorySpanExporter()
    async with served(FakeEngine(), tracing=Tracing(SimpleSpanProcessor(exporter))) as server:
        await read_all(server.stub.Generate(chain_request(match=STRICT)))
        await server.reaches("stillcue_running_jobs", 0)
    *parts, call = exporter.get_finished_spans()
    shown = [(span.name, (span.attributes or {}).get("stillcue.segment")) for span in parts]
    first = ["match", "encode_text", "encode_image", "denoise", "decode"]
    assert shown == [("prepare", None), ("queue", None), *((name, 1) for name in first), ("match", 2)]
    events = [(event.name, dict(event.attributes or {})) for event in call.events]
    assert events == [("chain stopped", {"stillcue.segment": 2})]
