"""The length of a clip for Generate Video: by frames, by seconds, or by the stages of a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NodeError

if TYPE_CHECKING:
    from stillcue import Capabilities

    from .server_link import ServerLink


def stage_sentences(text: str) -> tuple[str, ...]:
    """Returns the sentences of the input ``stages``: its lines without those that are empty."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def chain_frame_counts(capabilities: Capabilities) -> list[int]:
    """Returns the fewest and the most frames of a chain, of any size; nothing for an older server."""
    if capabilities.chains is None:
        return []
    longest: dict[tuple[int, int], int] = {}
    for item in capabilities.geometries:
        size = item.width_px, item.height_px
        longest[size] = max(longest.get(size, 0), item.frame_count)
    return [min(longest.values(), default=0) + 4, capabilities.chains.max_frame_count]


def check_length(
    frame_count: int, seconds: float, stages: tuple[str, ...], capabilities: Capabilities, link: ServerLink
) -> None:
    """Raises ``NodeError`` for two lengths, and for seconds or stages that an older server would ignore."""
    if frame_count and seconds:
        raise NodeError(f"frames is {frame_count} and seconds is {seconds:g}, both lengths of the clip; set one to 0")
    if capabilities.chains is not None:
        return
    if seconds:
        raise NodeError(f"seconds is {seconds:g}, but {link.address} is older than this pack; set it to 0, use frames")
    if stages:
        raise NodeError(f"stages has text, but {link.address} is older than this pack; clear it, and use prompt")
