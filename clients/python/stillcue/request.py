"""Converts the arguments of ``generate`` and ``score_match`` to protobuf requests.

Reads no file but the picture. Does not check values: the server does, and names all wrong fields at once.
"""

from __future__ import annotations

import uuid
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from stillcue.frame_rates import sent_frame_rate
from stillcue.v1 import attempts_pb2, generate_pb2, match_pb2, media_pb2, segments_pb2

if TYPE_CHECKING:
    import enum
    from collections.abc import Sequence

    from stillcue import events
    from stillcue.attempts import Attempts
    from stillcue.segments import Segment

DEFAULT_RESUME_WINDOW_SECONDS = 30.0
Picture = bytes | str | PathLike[str]
"""An encoded picture file (PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF): its bytes, or its path."""


class GenerateOptions(TypedDict, total=False):
    """Keyword arguments of ``generate``. An option that is left out takes the server's default."""

    negative_prompt: str | None
    """What the clip must not show; empty: nothing. No effect with a guidance scale of 1."""
    width_px: int
    """Width; 0 together with ``height_px`` 0: the compiled size with the aspect ratio nearest to the picture's."""
    height_px: int
    """Height; see ``width_px``."""
    frame_count: int
    """Number of frames, 4n + 1; 0: the server's default, or all frames of ``segments``. More than the longest of the
    server's ``geometries`` makes the clip a chain of segments, up to ``chains.max_frame_count`` of the capabilities."""
    seconds: float | None
    """Length in seconds instead of ``frame_count``: the number of frames 4n + 1 that is nearest to it."""
    segments: Sequence[Segment]
    """The segments of a chain, each with its sentence, in place of the prompt; empty: a clip that is longer than the
    model's own length is divided by the stages of its prompt."""
    frame_rate: float | Fraction | None
    """Intended playback rate in frames per second. Does not change the generated frames. Rates of editors are exact:
    23.976 and 23.98 are sent as 24000/1001."""
    picture_fit: events.PictureFit | None
    """How the picture is fitted to the clip's aspect ratio; None: cropped around the centre."""
    step_count: int | None
    """Number of denoising steps."""
    guidance_scale: float | None
    """Guidance scale (of the high-noise expert if there are two); 1 switches guidance off."""
    guidance_scale_low_noise: float | None
    """Guidance scale of the low-noise expert; refused for models with one transformer."""
    seed: int | None
    """Seed of the noise, 0 or more; None: the server draws one and reports it."""
    shift: float | None
    """Shift of the flow schedule, above 0."""
    step_reuse: events.StepReuse | None
    """How much of earlier denoising steps the job may reuse instead of computing it, which saves time and changes the
    clip; None: the server's default. No effect on a server without ``step_reuse_supported``."""
    match: events.MatchMode | None
    """Use of the match score; None: it is reported if the server has a scorer."""
    minimum_match_score: float
    """Lowest match score, 0 to 100, that ``MatchMode.REQUIRE`` accepts."""
    attempts: Attempts | None
    """Attempts to make the clip until one is accepted; None: one attempt. Needs a bundle that can judge finished clips
    (``attempts`` of the capabilities), and the match."""
    preview_every_step_count: int
    """Number of steps from one preview to the next; 0: no previews."""
    frame_encoding: events.FrameEncoding | None
    """Encoding of the frames; None: PNG."""
    video_container: events.VideoContainer | None
    """Container of the clip as a video file, which the server encodes; its chunks come beside the frames. None: no
    file."""
    video_codec: events.VideoCodec | None
    """Codec of the video file; None: the first of the server's ``video_codecs``. Needs ``video_container``."""
    omit_frames: bool
    """True: the stream has no frames, only the chunks of the video file. Needs ``video_container``."""
    max_stall_seconds: float | None
    """Seconds that a ready event may wait to be read before the server ends the stream."""
    resume_window_seconds: float | None
    """Seconds that the server keeps the job for this client after the connection broke; the client resumes by itself.
    0: a broken stream ends the job; None: 30 s. A server may grant less."""
    request_id: str | None
    """UUID that identifies the job in logs; None: the client draws one."""


def generate_request(picture: Picture, prompt: str, options: GenerateOptions) -> generate_pb2.GenerateRequest:
    """Returns the request for the arguments of ``generate``.

    Raises ``OSError`` if the picture's path cannot be read, ``TypeError`` for an unknown option, ``TypeError`` or
    ``ValueError`` for a value that its protobuf field cannot hold, ``ValueError`` for a prompt beside ``segments``:
    a server that knows no segments would make a clip of the prompt.
    """
    unknown = options.keys() - GenerateOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"generate() got an unexpected keyword argument {min(unknown)!r}")
    segments = options.get("segments", ())
    if prompt and segments:
        raise ValueError("prompt and segments exclude each other: each segment has its own sentence; leave out prompt")
    video = generate_pb2.VideoSpec(
        width_px=options.get("width_px", 0),
        height_px=options.get("height_px", 0),
        frame_count=options.get("frame_count", 0),
        frame_rate=_frame_rate(options.get("frame_rate")),
        picture_fit=_wire_name("PICTURE_FIT", options.get("picture_fit")),
        seconds=options.get("seconds"),
    )
    sampling = generate_pb2.SamplingSpec(
        step_count=options.get("step_count"),
        guidance_scale=options.get("guidance_scale"),
        guidance_scale_low_noise=options.get("guidance_scale_low_noise"),
        seed=options.get("seed"),
        shift=options.get("shift"),
        step_reuse=_wire_name("STEP_REUSE", options.get("step_reuse")),
    )
    match = match_pb2.MatchPolicy(
        mode=_wire_name("MATCH_MODE", options.get("match")),
        minimum_score=options.get("minimum_match_score", 0.0),
    )
    stream = generate_pb2.StreamSpec(
        preview_every_step_count=options.get("preview_every_step_count", 0),
        frame_encoding=_wire_name("FRAME_ENCODING", options.get("frame_encoding")),
        video_container=_wire_name("VIDEO_CONTAINER", options.get("video_container")),
        video_codec=_wire_name("VIDEO_CODEC", options.get("video_codec")),
        omit_frames=options.get("omit_frames", False),
    )
    max_stall_seconds = options.get("max_stall_seconds")
    if max_stall_seconds is not None:
        stream.max_stall_duration.FromNanoseconds(round(max_stall_seconds * 1e9))
    window_seconds = options.get("resume_window_seconds")
    window_seconds = DEFAULT_RESUME_WINDOW_SECONDS if window_seconds is None else window_seconds
    if window_seconds:
        stream.resume_window.FromNanoseconds(round(window_seconds * 1e9))
    return generate_pb2.GenerateRequest(
        request_id=options.get("request_id") or str(uuid.uuid4()),
        image=_image(picture),
        prompt=prompt,
        negative_prompt=options.get("negative_prompt"),
        video=video,
        sampling=sampling,
        match=match,
        stream=stream,
        attempts=_attempts(options.get("attempts")),
        segments=map(_segment, segments),
    )


class ScoreOptions(TypedDict, total=False):
    """Keyword arguments of ``score_match``: settings of the intended clip, and pictures to return."""

    negative_prompt: str | None
    """What the clip must not show; None: the server's default."""
    width_px: int
    """Width of the intended clip; 0 together with ``height_px`` 0: chosen by the picture's aspect ratio."""
    height_px: int
    """Height; see ``width_px``."""
    frame_count: int
    """Number of frames of the intended clip; 0: the server's default."""
    frame_rate: float | Fraction | None
    """Playback rate of the intended clip in frames per second; None: the model's own."""
    guidance_scale: float | None
    """Guidance scale of the intended clip; None: the server's default."""
    include_heat_map: bool
    """True: the report includes a heat map of the subject as PNG."""
    include_crop: bool
    """True: the report includes the picture from which the intended clip would start, as PNG."""
    picture_fit: events.PictureFit | None
    """How that picture is fitted; None: cropped around the subject."""


def score_match_request(picture: Picture, prompt: str, options: ScoreOptions) -> match_pb2.ScoreMatchRequest:
    """Returns the request for the arguments of ``score_match``. Raises the errors of ``generate_request``."""
    unknown = options.keys() - ScoreOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"score_match() got an unexpected keyword argument {min(unknown)!r}")
    fields: dict[str, Any] = {
        **options,
        "frame_rate": _frame_rate(options.get("frame_rate")),
        "picture_fit": _wire_name("PICTURE_FIT", options.get("picture_fit")),
    }
    return match_pb2.ScoreMatchRequest(image=_image(picture), prompt=prompt, **fields)


def _image(picture: Picture) -> media_pb2.Image:
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return media_pb2.Image(data=data)


def _attempts(given: Attempts | None) -> attempts_pb2.Attempts | None:
    if given is None:
        return None
    frames = _wire_name("ATTEMPT_FRAMES", given.frames)
    return attempts_pb2.Attempts(maximum_count=given.maximum_count, accept=given.accept, frames=frames)


def _segment(given: Segment) -> segments_pb2.SegmentSpec:
    return segments_pb2.SegmentSpec(
        prompt=given.prompt,
        frame_count=given.frame_count,
        seed=given.seed,
        guidance_scale=given.guidance_scale,
        guidance_scale_low_noise=given.guidance_scale_low_noise,
    )


def _frame_rate(given: float | Fraction | None) -> float | None:
    return sent_frame_rate(given) if isinstance(given, int | float | Fraction) else given


def _wire_name(prefix: str, member: enum.StrEnum | None) -> str | None:
    return None if member is None else f"{prefix}_{member.name}"
