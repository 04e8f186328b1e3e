"""Arguments become requests of the contract.

Pure: no connection, and no file but the picture. Checks no values; that is the server's work, and it names every
wrong field at once.
"""

from __future__ import annotations

import uuid
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from stillcue.v1 import generate_pb2, match_pb2, media_pb2

if TYPE_CHECKING:
    import enum

    from stillcue import events

DEFAULT_RESUME_WINDOW_SECONDS = 30.0
Picture = bytes | str | PathLike[str]
"""An encoded PNG, JPEG or WebP file: its bytes, or its path."""


class GenerateOptions(TypedDict, total=False):
    """Keyword arguments of ``generate``. What is left out takes the server's default."""

    negative_prompt: str | None
    """What the clip must not show; empty: nothing. Without effect where guidance is 1."""
    width_px: int
    """Width; 0 together with ``height_px`` 0: the size whose aspect is nearest to the picture's."""
    height_px: int
    """Height; see ``width_px``."""
    frame_count: int
    """Number of frames, 4n + 1; 0: the server's default."""
    frame_rate: float | None
    """Frames per second that the clip is meant to be shown at. Does not change what is generated."""
    picture_fit: events.PictureFit | None
    """How the picture is brought to the clip's aspect; None: cut from the centre."""
    step_count: int | None
    """Number of denoising steps."""
    guidance_scale: float | None
    """Guidance scale, of the first (high-noise) expert where there are two; 1 switches guidance off."""
    guidance_scale_low_noise: float | None
    """Guidance scale of the low-noise expert; refused for models with one transformer."""
    seed: int | None
    """Seed of the noise, 0 or more; None: drawn at random and reported."""
    shift: float | None
    """Shift of the flow schedule, above 0."""
    match: events.MatchMode | None
    """What to do with the match of picture and sentence; None: report it where the server can."""
    minimum_match_score: float
    """Lowest match score, 0 to 100, that goes on under ``MatchMode.REQUIRE``."""
    preview_every_step_count: int
    """A preview every so many steps; 0: none."""
    frame_encoding: events.FrameEncoding | None
    """Encoding of the frames; None: PNG."""
    max_stall_seconds: float | None
    """How long a ready event may wait for its reader before the server ends the stream."""
    resume_window_seconds: float | None
    """How long the server is to wait for this client where the connection breaks; the stream then goes on by itself.
    0: never, a broken stream ends the job; None: 30 s. A server may grant less."""
    request_id: str | None
    """UUID to find the job by in logs; None: the client draws one."""


def generate_request(picture: Picture, prompt: str, options: GenerateOptions) -> generate_pb2.GenerateRequest:
    """The request that stands for the arguments of ``generate``.

    Raises ``OSError`` where the picture's path cannot be read, ``TypeError`` for an option that does not exist,
    ``TypeError`` or ``ValueError`` for a value that its field cannot hold.
    """
    unknown = options.keys() - GenerateOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"generate() got an unexpected keyword argument {min(unknown)!r}")
    video = generate_pb2.VideoSpec(
        width_px=options.get("width_px", 0),
        height_px=options.get("height_px", 0),
        frame_count=options.get("frame_count", 0),
        frame_rate=options.get("frame_rate"),
        picture_fit=_wire_name("PICTURE_FIT", options.get("picture_fit")),
    )
    sampling = generate_pb2.SamplingSpec(
        step_count=options.get("step_count"),
        guidance_scale=options.get("guidance_scale"),
        guidance_scale_low_noise=options.get("guidance_scale_low_noise"),
        seed=options.get("seed"),
        shift=options.get("shift"),
    )
    match = match_pb2.MatchPolicy(
        mode=_wire_name("MATCH_MODE", options.get("match")),
        minimum_score=options.get("minimum_match_score", 0.0),
    )
    stream = generate_pb2.StreamSpec(
        preview_every_step_count=options.get("preview_every_step_count", 0),
        frame_encoding=_wire_name("FRAME_ENCODING", options.get("frame_encoding")),
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
    )


class ScoreOptions(TypedDict, total=False):
    """Keyword arguments of ``score_match``: what a clip of the pair would be made with, and what to draw."""

    negative_prompt: str | None
    """What the clip would not show; None: the server's default."""
    width_px: int
    """Width that the clip would have; 0 together with ``height_px`` 0: by the picture's aspect."""
    height_px: int
    """Height; see ``width_px``."""
    frame_count: int
    """Number of frames that the clip would have; 0: the server's default."""
    frame_rate: float | None
    """Frames per second that the clip would be shown at; None: the model's own."""
    guidance_scale: float | None
    """Guidance scale that the clip would be made with; None: the server's default."""
    include_heat_map: bool
    """Whether the report holds a PNG of where the subject is."""
    include_crop: bool
    """Whether the report holds a PNG of the picture cut around its subject."""


def score_match_request(picture: Picture, prompt: str, options: ScoreOptions) -> match_pb2.ScoreMatchRequest:
    """The request that stands for the arguments of ``score_match``. Raises as ``generate_request`` does."""
    unknown = options.keys() - ScoreOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"score_match() got an unexpected keyword argument {min(unknown)!r}")
    return match_pb2.ScoreMatchRequest(image=_image(picture), prompt=prompt, **options)


def _image(picture: Picture) -> media_pb2.Image:
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return media_pb2.Image(data=data)


def _wire_name(prefix: str, member: enum.StrEnum | None) -> str | None:
    return None if member is None else f"{prefix}_{member.name}"
