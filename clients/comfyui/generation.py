"""Generates a clip for the Generate Video node: events of one call become progress, frames and a video file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import stillcue
from stillcue import (
    Accepted,
    AttemptFrames,
    Attempts,
    Frame,
    FrameEncoding,
    PictureFit,
    Segment,
    StepReuse,
    Summary,
    VideoChunk,
)

from . import host
from .clip import Clip
from .clip_length import check_length
from .connection import capabilities_of, client_of
from .errors import NodeError
from .interruption import on_interrupt
from .node_errors import check_text, node_error
from .pictures import FrameBatch, frame_pixels
from .progress import ClipProgress
from .video_source import VideoSource, video_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stillcue import Capabilities, Event
    from stillcue.request import GenerateOptions

    from .pictures import PreparedPicture
    from .server_link import ServerLink


@dataclass(frozen=True)
class ClipRequest:
    """The inputs of Generate Video; 0 and None: the server's default. ``stages``, if any, replace ``prompt``."""

    prompt: str
    frame_count: int
    frame_rate: float
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float
    seed: int
    negative_prompt: str | None
    shift: float
    attempt_count: int = 1
    step_reuse: str | None = None
    seconds: float = 0.0
    stages: tuple[str, ...] = ()


def generate(
    link: ServerLink, picture: PreparedPicture, request: ClipRequest, choice: str, *, wants_frames: bool, node_id: str
) -> Clip:
    """Generates a clip. ``choice`` is that of the node's input ``video``.

    Raises ``NodeError`` with the remedy, and ComfyUI's interrupt after Cancel; the server's job has then ended.
    """
    check_text(prompt=request.prompt, negative_prompt=request.negative_prompt, stages="\n".join(request.stages))
    capabilities = capabilities_of(link)
    check_length(request.frame_count, request.seconds, request.stages, capabilities, link)
    if request.guidance_scale_low_noise and capabilities.sampling_defaults.guidance_scale_low_noise is None:
        raise NodeError(
            f"guidance_low_noise is {request.guidance_scale_low_noise:g}, but the model {capabilities.model.name} has "
            "one transformer; set it to 0, and use guidance"
        )
    if request.attempt_count > 1 and capabilities.attempts is None:
        raise NodeError(
            f"attempts is {request.attempt_count}, but {link.address} cannot judge clips: its bundle has no fitted "
            "success of clips, or it is older than this pack; set attempts to 1"
        )
    source = video_source(choice, wants_frames=wants_frames, capabilities=capabilities, link=link)
    progress = ClipProgress(node_id)
    options = _options(request, picture, _lossless(link, capabilities), source)
    stream = client_of(link).generate(picture.data, "" if request.stages else request.prompt, **options)
    with progress.tells_cancel():
        try:
            with stream, on_interrupt(stream.cancel):
                return _collect(stream, source, progress)
        except stillcue.StillcueError as error:
            host.raise_if_interrupted()
            raise node_error(error, link) from error


def _collect(events: Iterable[Event], source: VideoSource, progress: ClipProgress) -> Clip:
    batch: FrameBatch | None = None
    chunks: list[bytes] = []
    encoded_count = frame_count = done = 0
    for event in events:
        match event:
            case Accepted():
                settings = event.settings
                frame_count = settings.frame_count
                if source.wants_frames:
                    batch = FrameBatch(frame_count, settings.width_px, settings.height_px)
                progress.show(event)
            case Frame() if batch is not None:
                pixels = frame_pixels(event)
                batch.put(event.index, pixels)
                done += 1
                progress.show_frames(done, pixels)
            case VideoChunk():
                chunks.append(event.data)
                encoded_count += event.frame_count
                if batch is None:
                    progress.show_frames(min(encoded_count, frame_count), None)
            case Summary():
                if source.wants_frames and done != event.frame_count:
                    count = f"{done} of {event.frame_count} frames"
                    raise NodeError(f"the server sent {count}; run again, or tell its operator")
                if source.codec is not None and encoded_count != event.frame_count:
                    count = f"{encoded_count} of {event.frame_count} frames"
                    raise NodeError(f"the server's video has {count}; run again, or tell its operator")
                progress.show(event)
                file = b"".join(chunks) if source.codec is not None else None
                return Clip(event, None if batch is None else batch.images[: event.frame_count], file)
            case _:
                progress.show(event)
    raise NodeError("the server's stream ended without a summary; run again, or tell its operator")


def _options(
    request: ClipRequest, picture: PreparedPicture, encoding: FrameEncoding, source: VideoSource
) -> GenerateOptions:
    return {
        "width_px": picture.width_px,
        "height_px": picture.height_px,
        "picture_fit": PictureFit.CROP_CENTER,
        "frame_count": request.frame_count,
        "seconds": request.seconds or None,
        "segments": [Segment(sentence) for sentence in request.stages],
        "frame_rate": request.frame_rate or None,
        "step_count": request.step_count or None,
        "guidance_scale": request.guidance_scale or None,
        "guidance_scale_low_noise": request.guidance_scale_low_noise or None,
        "seed": request.seed,
        "shift": request.shift or None,
        "step_reuse": None if request.step_reuse is None else StepReuse(request.step_reuse),
        "negative_prompt": request.negative_prompt,
        "attempts": Attempts(request.attempt_count, frames=AttemptFrames.ACCEPTED)
        if request.attempt_count > 1
        else None,
        "preview_every_step_count": 1,
        "frame_encoding": encoding,
        **source.options,
    }


def _lossless(link: ServerLink, capabilities: Capabilities) -> FrameEncoding:
    """Raw pixels within this machine, which cost no encoding; PNG across a network."""
    raw = FrameEncoding.RAW_RGB
    return raw if link.is_this_machine and raw in capabilities.frame_encodings else FrameEncoding.PNG
