"""Which encoders work on this machine, found out by opening them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np

from engine.api.errors import VideoFailed
from engine.api.video import VIDEO_ENCODERS, VideoCodec, VideoEncoder, VideoSupport

VIDEO_PACKAGE = "av"
_PROBE_SIZE_PX = 256  # above the smallest size of every encoder
_PROBE_RATE = Fraction(16)


def find_support(names: Sequence[str]) -> VideoSupport:
    """The first of the named encoders that works, for each codec; codecs in the order of their first name."""
    if not names:
        return VideoSupport({}, "--video-encoders allows no encoder")
    if importlib.util.find_spec(VIDEO_PACKAGE) is None:
        return VideoSupport({}, "PyAV is not installed; its operator can install the extra `video`")
    encoders: dict[VideoCodec, str] = {}
    for name in names:
        if VIDEO_ENCODERS[name] not in encoders and _works(name):
            encoders[VIDEO_ENCODERS[name]] = name
    absence = "" if encoders else f"none of the encoders that --video-encoders allows works here: {', '.join(names)}"
    return VideoSupport(encoders, absence)


def open_encoder(name: str, width_px: int, height_px: int, frame_rate: Fraction) -> VideoEncoder:
    """An encoder for one clip. Raises ``VideoFailed``."""
    from engine.media.video.fragmented_mp4 import FragmentedMp4

    return FragmentedMp4(name, width_px, height_px, frame_rate)


@lru_cache(maxsize=128)  # of sizes that work; an exception is not cached
def check_size(name: str, width_px: int, height_px: int, frame_rate: Fraction) -> None:
    """Raises ``VideoFailed`` where the encoder does not open for clips of this size and rate."""
    open_encoder(name, width_px, height_px, frame_rate).close()


@cache
def _works(name: str) -> bool:
    """Encodes one frame: that an encoder is part of the library does not mean that the machine has its card."""
    try:
        encoder = open_encoder(name, _PROBE_SIZE_PX, _PROBE_SIZE_PX, _PROBE_RATE)
        try:
            encoder.encode([np.zeros((_PROBE_SIZE_PX, _PROBE_SIZE_PX, 3), np.uint8)])
        finally:
            encoder.close()
    except (VideoFailed, ImportError):
        return False
    return True
