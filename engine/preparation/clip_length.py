"""The length that a job asks for: as a number of frames, or in seconds. Its rules, and the longest clip of a server."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from engine.api.capabilities import Capabilities
from engine.api.errors import Violation
from engine.api.fields import Field
from engine.api.job import VideoSpec
from engine.preparation.chain_lengths import nearest_frame_count


def lengths_by_size(capabilities: Capabilities) -> dict[tuple[int, int], list[int]]:
    """The compiled lengths of each size, width and height in pixels, in the order of the bundle."""
    lengths: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for item in capabilities.geometries:
        lengths[item.width_px, item.height_px].append(item.frame_count)
    return dict(lengths)


def length_field(video: VideoSpec) -> Field:
    """The field that holds the length."""
    return Field.FRAME_COUNT if video.seconds is None else Field.SECONDS


def frame_rate_of(video: VideoSpec, capabilities: Capabilities) -> float:
    """Frames per second of the clip."""
    return capabilities.defaults.frame_rate if video.frame_rate is None else video.frame_rate


def asked_frame_count(video: VideoSpec, capabilities: Capabilities) -> int:
    """Number of frames that a job asks for, 0 if it states no length. ``check_clip_length`` must have passed."""
    if video.seconds is None:
        return video.frame_count
    return nearest_frame_count(video.seconds * frame_rate_of(video, capabilities))


def check_clip_length(video: VideoSpec, capabilities: Capabilities) -> Iterator[Violation]:
    """A frame count is 4n + 1, seconds are above 0, only one of them is set, and no clip is longer than the longest.

    Ignores which lengths are compiled.
    """
    longest = capabilities.max_frame_count
    if video.frame_count > longest:
        yield Violation(Field.FRAME_COUNT, f"is {video.frame_count}; the longest clip of this server has {longest}")
    elif video.frame_count < 0 or (video.frame_count and video.frame_count % 4 != 1):
        nearest = nearest_frame_count(max(video.frame_count, 1))
        yield Violation(Field.FRAME_COUNT, f"is {video.frame_count}, not 4n + 1; the nearest is {nearest}")
    seconds = video.seconds
    if seconds is None:
        return
    if video.frame_count:
        yield Violation(Field.SECONDS, "is set beside frame_count; send one of them")
    frame_rate = frame_rate_of(video, capabilities)
    if not math.isfinite(seconds) or seconds <= 0:
        yield Violation(Field.SECONDS, f"is {seconds:g}; send a number above 0")
    elif math.isfinite(frame_rate) and frame_rate > 0 and seconds * frame_rate >= longest + 2:
        longest_seconds = f"{longest / frame_rate:.4g} s ({longest} frames)"
        yield Violation(Field.SECONDS, f"is {seconds:g}; the longest clip of this server has {longest_seconds}")
