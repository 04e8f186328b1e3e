"""Checks of a request for several attempts: a fit, a scored match, room for the seeds and for the clips held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.job import MAX_SEED, MatchMode
from server.errors.refusals import FieldViolation, InvalidRequest, SuccessFitMissing
from server.jobs.attempt_plan import AttemptFrames, AttemptPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.api.job import PreparedJob, Settings
    from server.jobs.attempt_plan import AttemptWish
    from server.jobs.messages import StreamVideo

_HELD_CLIP_COUNT = 2  # the best clip so far, and the one that is being made
_BYTES_PER_PIXEL = 3  # no encoding of frames makes them larger, but for a few bytes of a file's head


def plan_attempts(
    wish: AttemptWish,
    prepared: PreparedJob,
    *,
    accept_from: float | None,
    video: StreamVideo | None,
    max_held_bytes: int,
) -> AttemptPlan:
    """The plan of a prepared job. ``accept_from`` is the bundle's threshold, None without a fit.

    Raises ``InvalidRequest`` and ``SuccessFitMissing``.
    """
    if accept_from is None:
        raise SuccessFitMissing
    accept = accept_from if wish.accept is None else wish.accept
    plan = AttemptPlan(wish.maximum_count, accept, wish.frames)
    violations = tuple(_check(plan, prepared, video, max_held_bytes))
    if violations:
        raise InvalidRequest(*violations)
    return plan


def _check(
    plan: AttemptPlan, prepared: PreparedJob, video: StreamVideo | None, max_held_bytes: int
) -> Iterator[FieldViolation]:
    if prepared.match_mode is MatchMode.OFF:
        yield FieldViolation(
            "match.mode", "is OFF, and attempts are judged by the match; send REPORT, or leave attempts unset"
        )
    seeds = [settings.seed for settings in prepared.clip_settings]
    if max(seeds) + plan.maximum_count - 1 > MAX_SEED:
        index = seeds.index(max(seeds))
        follows = seeds[index] == seeds[0] + index
        largest = MAX_SEED - plan.maximum_count + 1 - (index if follows else 0)
        yield FieldViolation(
            "sampling.seed" if follows else f"segments[{index}].seed",
            f"is {seeds[0] if follows else seeds[index]}, and each attempt adds 1 to it; for {plan.maximum_count} "
            f"attempts send at most {largest}",
        )
    if plan.frames is AttemptFrames.ACCEPTED:
        held_bytes = _HELD_CLIP_COUNT * _clip_bytes(prepared.settings, video)
        if held_bytes > max_held_bytes:
            yield FieldViolation(
                "attempts.frames",
                f"is ACCEPTED, which may hold {held_bytes} bytes of two clips, more than this server's limit of "
                f"{max_held_bytes}; ask for fewer frames, a smaller size, the video alone (stream.omit_frames) or "
                "attempts.frames ALL",
            )


def _clip_bytes(settings: Settings, video: StreamVideo | None) -> int:
    """The most bytes that the messages of one clip hold. Video has at most half of the bytes of RGB (4:2:0)."""
    rgb_bytes = settings.width_px * settings.height_px * settings.frame_count * _BYTES_PER_PIXEL
    if video is None:
        return rgb_bytes
    return rgb_bytes // 2 if video.omits_frames else rgb_bytes + rgb_bytes // 2
