"""Formats an error of a call as one message: what is wrong, in which option, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.errors import (
    AccessDenied,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    MatchRefused,
    OutOfMemory,
    Overloaded,
    ReaderTooSlow,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
    Violation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillcue.match import MatchReport

OPTION_BY_FIELD = {
    "image": "PICTURE",
    "image.data": "PICTURE",
    "image.format": "PICTURE",
    "prompt": "SENTENCE",
    "negative_prompt": "--negative",
    "video.width_px": "--size",
    "video.height_px": "--size",
    "video.frame_count": "--frames",
    "video.frame_rate": "--fps",
    "video.picture_fit": "--fit",
    "sampling.step_count": "--steps",
    "sampling.guidance_scale": "--guidance",
    "sampling.guidance_scale_low_noise": "--guidance-low",
    "sampling.seed": "--seed",
    "sampling.shift": "--shift",
    "match.mode": "--no-match",
    "match.minimum_score": "--require-match",
    "stream.preview_every_step_count": "--previews",
    "stream.video_container": "--encoder",
    "stream.video_codec": "--encoder",
    # Fields of ScoreMatchRequest.
    "width_px": "--size",
    "height_px": "--size",
    "frame_count": "--frames",
    "frame_rate": "--fps",
    "guidance_scale": "--guidance",
    "picture_fit": "--fit",
}
_HEADING_BY_ERROR: dict[type[StillcueError], str] = {
    InvalidRequest: "the request is wrong",
    FailedPrecondition: "this server cannot do that",
    MatchRefused: "not generated",
    AccessDenied: "access denied",
    Overloaded: "the server has no room now",
    OutOfMemory: "the job is too large",
    DeadlineExceeded: "out of time",
    ReaderTooSlow: "frames came faster than they could be written",
    Cancelled: "the server cancelled the call",
    ResumeFailed: "the connection broke",
    Unavailable: "no answer from the server",
    Unsupported: "the server does not know this call",
    ServerError: "the server failed",
}
_REMEDY_BY_ERROR: dict[type[StillcueError], str] = {
    AccessDenied: "give a valid token by --token-file or STILLCUE_TOKEN, or a certificate by --tls-cert and --tls-key",
    DeadlineExceeded: "raise --timeout, or ask for fewer frames or steps",
    Unavailable: "is it running at {server}? It must speak TLS, unless it is on this machine or --plaintext is given; "
    "for TLS see --tls-ca, and --tls-cert if it asks for client certificates",
    ResumeFailed: "the clip is lost; try again",
    Unsupported: "is {server} a Stillcue server of this version?",
    ServerError: "tell its operator the request id",
}


def describe(error: StillcueError, server: str) -> str:
    """Returns a message of a few lines for an error; ``server`` is the address for messages that name it."""
    kind = next(kind for kind in type(error).__mro__ if kind in _HEADING_BY_ERROR)
    if error.violations:
        lines = [f"{_HEADING_BY_ERROR[kind]}:", *(f"  {_describe_violation(item)}" for item in error.violations)]
    else:
        lines = [f"{_HEADING_BY_ERROR[kind]}: {error.message}"]
    if isinstance(error, MatchRefused) and error.report is not None:
        lines += [f"  {line}" for line in _describe_refused_match(error.report)]
    if error.retry_after_seconds is not None:
        lines.append(f"  try again in {error.retry_after_seconds:g} s")
    elif kind in _REMEDY_BY_ERROR:
        lines.append(f"  {_REMEDY_BY_ERROR[kind].format(server=server)}")
    if error.request_id is not None:
        lines.append(f"  request id: {error.request_id}")
    return "\n".join(lines)


def _describe_violation(violation: Violation) -> str:
    option = OPTION_BY_FIELD.get(violation.field)
    return f"{option or violation.field} {violation.description}"


def _describe_refused_match(report: MatchReport) -> Iterator[str]:
    """Yields lines: clauses that do not match, nouns missing in the picture, and the rewritten prompt."""
    for clause in report.clauses:
        if clause.gated_probability is not None and clause.gated_probability < 0.5:
            yield f"{clause.kind.value} “{clause.text}” fits with {100 * clause.gated_probability:.0f} %"
    if report.missing_nouns:
        yield f"not in the picture: {', '.join(dict.fromkeys(noun.text for noun in report.missing_nouns))}"
    if report.prompt_report is not None and report.prompt_report.rewritten_prompt is not None:
        yield f"better: {report.prompt_report.rewritten_prompt}"
