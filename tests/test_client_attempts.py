"""Attempts in the client: the request, the events, and what the command line shows and writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from google.protobuf.message import Message

import stillcue
from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success_factors import FAULTLESS
from stillcue.cli import main
from stillcue.success_text import FACTOR_LABELS, attempt_lines, clip_success_lines, lowering_lines
from stillcue.v1 import attempts_pb2, generate_pb2
from tests.client_calls import generate, generate_asynchronously
from tests.command_line import names
from tests.scripted_attempts import RESULTS, two_attempts
from tests.scripted_server import Response, ScriptedServer, a_clip, colour

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL, _ACCEPTED = stillcue.AttemptFrames.ALL, stillcue.AttemptFrames.ACCEPTED
_SHOWN = [
    "attempt 1 of 3: denoising",
    "attempt 1 of 3: decoding frames",
    "attempt 1, seed 7, good with 25 %: not accepted",
    "attempt 2 of 3: denoising",
    "attempt 2 of 3: decoding frames",
    "attempt 2, seed 8, good with 88 %: accepted",
    "the clip is good with 88 % (measured)",
]


def _kinds(events: list[stillcue.Event]) -> list[tuple[type, int]]:
    return [(type(event), event.attempt) for event in events]


@pytest.mark.parametrize("frames", [_ALL, _ACCEPTED])
async def test_every_event_says_which_attempt_it_belongs_to(
    client: stillcue.Client, server: ScriptedServer, frames: stillcue.AttemptFrames
) -> None:
    server.generate = two_attempts
    options: Any = {"attempts": stillcue.Attempts(3, 0.75, frames)}
    events = generate(server.target, **options)
    assert await generate_asynchronously(server.target, **options) == events
    early = [(stillcue.Frame, 1)] if frames is _ALL else []
    second = [(stillcue.Frame, 2)] if frames is _ALL else []
    assert _kinds(events) == [
        (stillcue.Accepted, 0),
        (stillcue.MatchReport, 1),
        (stillcue.StageStarted, 1),
        (stillcue.StageStarted, 1),
        *early,
        (stillcue.AttemptResult, 1),
        (stillcue.MatchReport, 2),
        (stillcue.StageStarted, 2),
        (stillcue.StageStarted, 2),
        *second,
        (stillcue.AttemptResult, 2),
        *([(stillcue.Frame, 2)] if frames is _ACCEPTED else []),
        (stillcue.Summary, 0),
    ]
    first, last = events[0], events[-1]
    assert isinstance(first, stillcue.Accepted)
    assert first.attempts == options["attempts"]
    assert isinstance(last, stillcue.Summary)
    assert tuple(event for event in events if isinstance(event, stillcue.AttemptResult)) == last.attempts == RESULTS
    assert (last.delivered_attempt, last.attempts_end) == (2, stillcue.AttemptsEnd.ACCEPTED)
    assert (last.settings.seed, last.success) == (8, RESULTS[1].success)


def test_an_older_server_tells_of_no_attempts(client: stillcue.Client, server: ScriptedServer) -> None:
    def older(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        *earlier, last = a_clip(request, context)
        yield from earlier
        for name in ("success", "delivered_attempt"):
            last.summary.ClearField(name)
        yield last

    server.generate = older
    events = list(client.generate(b"a picture", "A boat."))
    first, last = events[0], events[-1]
    assert isinstance(first, stillcue.Accepted)
    assert isinstance(last, stillcue.Summary)
    assert first.attempts is None
    assert (last.success, last.attempts, last.delivered_attempt, last.attempts_end) == (None, (), 1, None)
    assert {event.attempt for event in events} == {0}


def _told(text: str) -> list[str]:
    return [line for line in text.splitlines() if "attempt" in line or "the clip is good" in line]


def _attempts_of(request: Message) -> attempts_pb2.Attempts:
    assert isinstance(request, generate_pb2.GenerateRequest)
    return request.attempts


def _first_colour(path: str) -> tuple[int, ...]:
    with av.open(path) as container:
        pixels = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return tuple(int(value) for value in np.asarray(pixels)[0, 0])


def test_the_saved_clip_is_the_delivered_attempts(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.generate = two_attempts
    options = ("--attempts", "3", "--accept", "0.8", "--lossless")
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", *options]) == 0
    assert _attempts_of(server.requests[0]) == attempts_pb2.Attempts(
        maximum_count=3, accept=0.8, frames=attempts_pb2.ATTEMPT_FRAMES_ACCEPTED
    )
    assert names(folder) == {"boat.png", "clip.mp4"}
    assert _first_colour("clip.mp4") == colour(2)
    out, err = capsys.readouterr()
    assert out == "clip.mp4: 5 frames of 48x32 at 8 frames/s, seed 8, attempt 2 of 2, 3.00 s of work\n"
    assert _told(err) == _SHOWN
    assert err.count("match 62 of 100") == 1


def test_the_clips_of_other_attempts_are_kept_beside_it(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.generate = two_attempts
    options = ("--attempts", "3", "--all-attempts", "--lossless", "--sheet", "sheet.png")
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", *options]) == 0
    assert _attempts_of(server.requests[0]) == attempts_pb2.Attempts(
        maximum_count=3, frames=attempts_pb2.ATTEMPT_FRAMES_ALL
    )
    assert names(folder) == {"boat.png", "clip.mp4", "clip-1.mp4", "sheet.png"}
    assert (_first_colour("clip-1.mp4"), _first_colour("clip.mp4")) == (colour(1), colour(2))
    assert _told(capsys.readouterr().err) == _SHOWN


@pytest.mark.parametrize("keeps_all", [False, True])
def test_files_that_the_server_encodes(folder: Path, server: ScriptedServer, keeps_all: bool) -> None:
    server.generate = two_attempts
    options = ["--attempts", "2", "--encoder", "server", *(["--all-attempts"] if keeps_all else [])]
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", *options]) == 0
    assert Path("clip.mp4").read_bytes() == b"attempt 2;"
    assert names(folder) == {"boat.png", "clip.mp4", *(["clip-1.mp4"] if keeps_all else [])}


def test_an_older_server_makes_the_clip_once_and_that_is_told(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--attempts", "2", "--all-attempts"]) == 0
    assert "note: this server makes every clip once: it is older than this client" in capsys.readouterr().err
    assert names(folder) == {"boat.png", "clip.mp4"}


def test_a_stream_that_breaks_leaves_finished_attempts_alone(folder: Path, server: ScriptedServer) -> None:
    def breaking(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for response in two_attempts(request, context):
            if response.attempt == 2 and response.HasField("attempt_ended"):
                return
            yield response

    server.generate = breaking
    options = ("--attempts", "2", "--all-attempts")
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", *options]) == 1
    assert names(folder) == {"boat.png", "clip-1.mp4"}


@pytest.mark.usefixtures("folder", "server")
@pytest.mark.parametrize("option", [("--accept", "0.5"), ("--all-attempts",)])
def test_options_of_attempts_need_attempts(option: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", *option])
    assert "--accept and --all-attempts need --attempts 2 or more" in capsys.readouterr().err


def test_what_lowers_a_chance_is_told_worst_first_and_in_words() -> None:
    names_and_odds = [("subject", -0.05), ("text_coverage", -0.5), ("a_new_figure", -1.0), ("step_lack", -2.0)]
    factors = tuple(stillcue.SuccessFactor(name, 1.0, odds) for name, odds in [*names_and_odds, ("action", -0.25)])
    estimate = stillcue.SuccessEstimate(0.5, stillcue.SuccessBasis.MEASURED, None, None, factors)
    assert lowering_lines(estimate) == [  # 1 / (1 + exp(log odds))
        "fewer steps than the model's own: 88 % without it",
        "a new figure: 73 % without it",
        "lettering in the picture: 62 % without it",
    ]
    assert lowering_lines(None) == []
    certain = stillcue.SuccessEstimate(0.0, stillcue.SuccessBasis.MEASURED, None, None, factors)
    assert lowering_lines(certain)[0] == "fewer steps than the model's own: 0 % without it"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (attempts_pb2.ATTEMPTS_END_DEADLINE, "another attempt would have taken longer than the call may"),
        (attempts_pb2.ATTEMPTS_END_QUOTA, "the requests per minute were used up"),
        (attempts_pb2.ATTEMPTS_END_DRAINING, "the server was shutting down"),
    ],
)
def test_why_no_attempt_followed_is_told(
    client: stillcue.Client, server: ScriptedServer, end: attempts_pb2.AttemptsEnd, reason: str
) -> None:
    def one(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        *earlier, last = two_attempts(request, context)
        yield from earlier
        del last.summary.attempts[1]
        last.summary.delivered_attempt = 1
        last.summary.attempts_end = end
        last.summary.success.CopyFrom(last.summary.attempts[0].success)
        yield last

    server.generate = one
    *_, last = client.generate(b"a picture", "A boat.", attempts=stillcue.Attempts(2))
    assert isinstance(last, stillcue.Summary)
    assert attempt_lines(last) == [
        "attempt 1, seed 7, good with 25 %: not accepted, delivered",
        f"no further attempt: {reason}",
    ]
    assert clip_success_lines(last) == [
        "the clip is good with 25 % (measured)",
        "  lowers it: the subject has changed by the end: 71 % without it",
    ]


def test_every_figure_of_the_engine_has_words() -> None:
    assert {*FAULTLESS, *FLAWLESS} - FACTOR_LABELS.keys() == set()
