"""Requests for chains, and the exact streams that the fake engine gives for them, with match reports cut to the score.

A chain has the sentences ``SENTENCES`` unless a test says otherwise: 9 frames, then 4 new ones in each segment, since
every segment repeats 5 frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from stillcue.v1 import generate_pb2, match_pb2, segments_pb2
from tests.fake_job import CLEAN, SETTINGS, STAGES, denoise_progress, raw_frame, stage_started, success, without_clocks
from tests.serving import PROMPT, REQUEST_ID, generate_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.message import Message

Response = generate_pb2.GenerateResponse
SENTENCES = (PROMPT, "a red fox runs away", "a red fox sits down on the grass")  # 6, 5 and 8 words
FRAME_COUNTS = (9, 4, 4)
SEGMENT_CALLS = ["match", "encode_image", *(f"denoise {n}" for n in range(1, 5)), "decode 0", "decode 1", "decode 2"]
FIRST_CALLS = ["match", "encode_text", *SEGMENT_CALLS[1:]]
CHAIN_CALLS = [*FIRST_CALLS, *SEGMENT_CALLS, *SEGMENT_CALLS]
# Events of the first segment from its start to its end, and of each later one.
FIRST_EVENT_COUNT, LATER_EVENT_COUNT = 21, 15
CHAIN_EVENT_COUNT = 1 + FIRST_EVENT_COUNT + 2 * LATER_EVENT_COUNT + 1


def chain_request(*sentences: str, **fields: Any) -> generate_pb2.GenerateRequest:
    """A chain of these sentences, by default three; seeds are 7, 8, 9."""
    segments = [segments_pb2.SegmentSpec(prompt=sentence) for sentence in sentences or SENTENCES]
    request = generate_request(**{"segments": segments, **fields})
    request.ClearField("prompt")
    return request


def lasting_chain(**fields: Any) -> generate_pb2.GenerateRequest:
    """A chain whose stream can be resumed for a minute."""
    request = chain_request(**fields)
    request.stream.resume_window.CopyFrom(Duration(seconds=60))
    return request


def chain_settings(seeds: Sequence[int] = (7, 8, 9)) -> generate_pb2.GenerateSettings:
    settings = generate_pb2.GenerateSettings()
    settings.CopyFrom(SETTINGS)
    settings.seed, settings.frame_count = seeds[0], 17
    settings.segments.extend(
        segments_pb2.SegmentSettings(
            number=number,
            prompt=SENTENCES[number - 1],
            first_frame_index=_first_frame(number),
            frame_count=FRAME_COUNTS[number - 1],
            compiled_frame_count=9,
            seed=seeds[number - 1],
            guidance_scale=3.5,
            guidance_scale_low_noise=3.5,
        )
        for number in (1, 2, 3)
    )
    return settings


def segment_result(number: int, seed: int) -> segments_pb2.SegmentResult:
    first = _first_frame(number)
    seam = segments_pb2.Seam(
        frame_index=first, motion_jump=0.03, motion_jump_inside=0.02, colour_shift=0.002, colour_shift_inside=0.001
    )
    return segments_pb2.SegmentResult(
        number=number,
        first_frame_index=first,
        frame_count=FRAME_COUNTS[number - 1],
        match_report=_report(number),
        diagnosis=CLEAN,
        success=success(seed),
        work_duration=Duration(seconds=5 if number == 1 else 4),
        seam=seam if number > 1 else None,
    )


def segment_stream(number: int, seed: int, attempt: int = 1) -> list[Response]:
    """The events of one segment, up to its end."""
    started = segments_pb2.SegmentStarted(number=number, segment_count=3)
    responses = [
        Response(segment_started=started),
        stage_started(generate_pb2.STAGE_MATCH),
        Response(match_report=_report(number)),
        *([stage_started(generate_pb2.STAGE_ENCODE_TEXT)] if number == 1 else []),
        stage_started(generate_pb2.STAGE_ENCODE_IMAGE),
        stage_started(generate_pb2.STAGE_DENOISE),
        *(denoise_progress(step, generate_pb2.EXPERT_HIGH_NOISE) for step in (1, 2)),
        *(denoise_progress(step, generate_pb2.EXPERT_LOW_NOISE) for step in (3, 4)),
        stage_started(generate_pb2.STAGE_DECODE),
        *_frames(number, seed),
        Response(segment_ended=segment_result(number, seed)),
    ]
    for response in responses:
        response.attempt, response.segment = attempt, number
    return responses


def summary_of_chain(seeds: Sequence[int] = (7, 8, 9)) -> generate_pb2.Summary:
    first, last = ([_first_frame(number) for number in (1, 2, 3)], [8, 12, 16])
    scores = [_report(number).score for number in (1, 2, 3)]
    return generate_pb2.Summary(
        request_id=REQUEST_ID,
        settings=chain_settings(seeds),
        bundle_digest="0" * 64,
        checkpoint_digest="1" * 64,
        stage_timings=[
            generate_pb2.StageTiming(
                stage=stage, duration=Duration(seconds=1 if stage == generate_pb2.STAGE_ENCODE_TEXT else 3)
            )
            for stage in STAGES
        ],
        work_duration=Duration(seconds=13),
        first_frame_duration=Duration(seconds=4),
        peak_memory_bytes=1_000,
        first_frame_psnr_db=40.0,
        match_report=_report(1),
        frame_matches=[
            generate_pb2.FrameMatch(frame_index=index, score=score)
            for pair, score in zip(zip(first, last, strict=True), scores, strict=True)
            for index in pair
        ],
        diagnosis=CLEAN,
        success=success(min(seeds, key=lambda seed: seed % 10)),
        delivered_attempt=1,
        step_counts=[generate_pb2.StepCount(work=generate_pb2.STEP_WORK_FULL, count=12)],
        segments=[segment_result(number, seeds[number - 1]) for number in (1, 2, 3)],
        chain_drift=segments_pb2.ChainDrift(subject_consistency=0.9, loop_back=0.1),
    )


def expected_chain(seeds: Sequence[int] = (7, 8, 9)) -> list[Response]:
    """Every message of the stream of raw frames."""
    accepted = generate_pb2.Accepted(
        request_id=REQUEST_ID,
        settings=chain_settings(seeds),
        estimate=generate_pb2.Estimate(wait_duration=Duration()),
    )
    return [
        Response(accepted=accepted),
        *(message for number in (1, 2, 3) for message in segment_stream(number, seeds[number - 1])),
        Response(summary=summary_of_chain(seeds)),
    ]


def brief(messages: Sequence[Response]) -> list[Response]:
    """The messages without what clocks and the position in the stream decide, and of match reports the score."""
    plain = without_clocks(list(messages))
    for message in plain:
        message.resume_token = ""
        for report in _reports(message):
            report.CopyFrom(match_pb2.MatchReport(score=report.score))
    return plain


def _reports(message: Response) -> Iterator[match_pb2.MatchReport]:
    holders: list[Message] = [message, message.segment_ended, message.summary, *message.summary.segments]
    holders.append(message.summary.chain_stop)
    for holder in holders:
        if holder.HasField("match_report"):
            report: match_pb2.MatchReport = getattr(holder, "match_report")  # noqa: B009
            yield report


def _report(number: int) -> match_pb2.MatchReport:
    return match_pb2.MatchReport(score=10.0 * len(SENTENCES[number - 1].split()))


def _first_frame(number: int) -> int:
    return sum(FRAME_COUNTS[: number - 1])


def _frames(number: int, seed: int) -> Iterator[Response]:
    for index in range(_first_frame(number), _first_frame(number) + FRAME_COUNTS[number - 1]):
        yield raw_frame(index, seed, SENTENCES[number - 1])
