"""Errors of a call in the words of the command line: its options and its remedies."""

from __future__ import annotations

from stillcue.error_text import describe_error
from stillcue.errors import (
    AccessDenied,
    DeadlineExceeded,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
)

OPTION_BY_FIELD = {
    "image": "PICTURE",
    "image.data": "PICTURE",
    "image.format": "PICTURE",
    "prompt": "SENTENCE",
    "negative_prompt": "--negative",
    "video.width_px": "--size",
    "video.height_px": "--size",
    "video.frame_count": "--frames",
    "video.seconds": "--seconds",
    "video.frame_rate": "--fps",
    "video.picture_fit": "--fit",
    "sampling.step_count": "--steps",
    "sampling.guidance_scale": "--guidance",
    "sampling.guidance_scale_low_noise": "--guidance-low",
    "sampling.seed": "--seed",
    "sampling.shift": "--shift",
    "sampling.step_reuse": "--reuse",
    "match.mode": "--no-match",
    "match.minimum_score": "--require-match",
    "attempts": "--attempts",
    "attempts.maximum_count": "--attempts",
    "attempts.accept": "--accept",
    "attempts.frames": "--all-attempts",
    "segments": "--stage",
    "segments[{}].prompt": "--stage",
    "segments[{}].frame_count": "--stage-frames",
    "segments[{}].seed": "--seed",
    "segments[{}].guidance_scale": "--guidance",
    "segments[{}].guidance_scale_low_noise": "--guidance-low",
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
    return describe_error(error, server=server, input_by_field=OPTION_BY_FIELD, remedy_by_error=_REMEDY_BY_ERROR)
