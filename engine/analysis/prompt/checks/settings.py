"""Checks whether the clip's length and the guidance scale suit the model."""

from __future__ import annotations

from collections.abc import Iterator

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue

_SHORTEST_SECONDS, _LONGEST_SECONDS = 4.0, 8.0
_EXTREME_GUIDANCE = 10.0
_RANGE_FACTOR = 2.0  # the common advice begins at twice the value that Wan2.2 A14B was tuned for
_SLACK_SECONDS = 0.05  # 81 frames at 16 a second are 5.0625 s


def check_length_of_clip(draft: Draft) -> Iterator[Issue]:
    """W18: at most one issue."""
    seconds, native = draft.settings.duration_seconds, draft.settings.model.native_seconds
    if seconds is None:
        return
    longest = draft.settings.model.longest_seconds
    shortest = _SHORTEST_SECONDS if longest is None else min(_SHORTEST_SECONDS, longest)
    if seconds < shortest - _SLACK_SECONDS:
        yield Issue("W18", "short", None, {"seconds": seconds})
    elif seconds > _LONGEST_SECONDS + _SLACK_SECONDS:
        yield Issue("W18", "long", None, {"seconds": seconds})
    elif native is not None and seconds > native + _SLACK_SECONDS:
        yield Issue("W18", "native", None, {"seconds": seconds, "limit": native})


def check_guidance(draft: Draft) -> Iterator[Issue]:
    """W19: at most one issue."""
    scale, default = draft.settings.guidance_scale, draft.settings.model.default_guidance_scale
    if scale is None:
        return
    if scale > _EXTREME_GUIDANCE:
        yield Issue("W19", "extreme", None, {"scale": scale, "limit": _EXTREME_GUIDANCE})
    elif default is not None:
        limit = highest_guidance(default)
        if scale > limit:
            yield Issue("W19", "range", None, {"scale": scale, "default": default, "limit": limit})


def highest_guidance(default: float) -> float:
    """The highest scale that suits a model.

    A distilled model (default 1) has no second forward pass to guide with: 1.
    """
    return 1.0 if default <= 1.0 else min(_RANGE_FACTOR * default, _EXTREME_GUIDANCE)
