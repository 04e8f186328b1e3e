"""The error of a node: one message in ComfyUI's words, with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.error_text import describe_error
from stillcue.errors import (
    AccessDenied,
    DeadlineExceeded,
    FailedPrecondition,
    OutOfMemory,
    ReaderTooSlow,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
)

from .errors import NodeError
from .servers_file import servers_path, shown_path

if TYPE_CHECKING:
    from .server_link import ServerLink

# Inputs of the nodes by the path of the field in the requests of Generate and ScoreMatch.
INPUT_BY_FIELD = {
    "image": "picture",
    "image.data": "picture",
    "image.format": "picture",
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "video.width_px": "size of Prepare Picture",
    "video.height_px": "size of Prepare Picture",
    "video.frame_count": "frames",
    "video.seconds": "seconds",
    "video.frame_rate": "frame_rate",
    "video.picture_fit": "fit of Prepare Picture",
    "sampling.step_count": "steps",
    "sampling.guidance_scale": "guidance",
    "sampling.guidance_scale_low_noise": "guidance_low_noise",
    "sampling.seed": "seed",
    "sampling.shift": "shift",
    "sampling.step_reuse": "step_reuse",
    "attempts": "attempts",
    "attempts.maximum_count": "attempts",
    "attempts.accept": "attempts",
    "attempts.frames": "attempts",
    "segments": "stages",
    "segments[{}].prompt": "stages",
    "segments[{}].frame_count": "stages",
    "segments[{}].seed": "seed",
    "segments[{}].guidance_scale": "guidance",
    "segments[{}].guidance_scale_low_noise": "guidance_low_noise",
    "stream.video_container": "video",
    "stream.video_codec": "video",
    # Fields of ScoreMatchRequest.
    "width_px": "size of Prepare Picture",
    "height_px": "size of Prepare Picture",
    "picture_fit": "fit of Prepare Picture",
}
_REMEDY_BY_ERROR: dict[type[StillcueError], str] = {
    AccessDenied: "put a valid token_file, or tls_cert and tls_key, for “{server}” into {path}",
    DeadlineExceeded: "{server} took too long; is something between it and this machine in the way? Run again",
    FailedPrecondition: "choose another size, other frames or another video among those that {server} offers",
    OutOfMemory: "choose a smaller size or fewer frames",
    ReaderTooSlow: "this machine could not keep up with the server; choose fewer frames or a smaller size",
    Unavailable: "is it running at {server}? Start it, or correct the address in the Stillcue Server node. It must "
    "speak TLS, unless it is on this machine or tls is off; for its certificate see tls_ca in {path}",
    ResumeFailed: "the clip is lost; run again",
    Unsupported: "is {server} a Stillcue server of this version?",
    ServerError: "tell its operator the request id",
}


def check_text(**texts: str | None) -> None:
    """Raises ``NodeError`` for a text that is no Unicode, such as half of an emoji; names are those of the inputs."""
    for name, text in texts.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            place = f"character {error.start + 1}"
            raise NodeError(f"{name} holds half of a character at {place}; delete it and write it again") from None


def node_error(error: StillcueError, link: ServerLink) -> NodeError:
    """Returns the error of a node for an error of a call to the linked server."""
    remedies = {kind: remedy.replace("{path}", shown_path(servers_path())) for kind, remedy in _REMEDY_BY_ERROR.items()}
    return NodeError(
        describe_error(error, server=link.address, input_by_field=INPUT_BY_FIELD, remedy_by_error=remedies)
    )
