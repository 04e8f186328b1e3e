"""Recognises the subject of a frame: draws every subject and colour of the world in its place and picks the nearest."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pocket.evaluation.tracking import Place, Track, locate_subject
from pocket.world import FRAME_COUNT, SUBJECTS, ClipSpec, apply_light, render_backdrop, render_picture

_SMALLEST_SIZE, _LARGEST_SIZE = 0.1, 1.2


def name_subject(frame: NDArray[np.uint8], track: Track, spec: ClipSpec) -> tuple[str, str]:
    """Return subject and colour shown by a clip's last frame [height, width, 3] uint8; `spec` gives the scene."""
    distances = subject_distances(frame, track, spec)
    return min(distances, key=lambda name: distances[name])


def subject_distances(frame: NDArray[np.uint8], track: Track, spec: ClipSpec) -> dict[tuple[str, str], float]:
    """Return the mean pixel difference (0..1) between a last frame and each (subject, colour) drawn in its place."""
    pixels = frame / 255.0
    backdrop = apply_light(render_backdrop(spec), float(track.light[-1]))
    return {name: _distance(pixels, backdrop, track, replace_subject(spec, *name)) for name in _names()}


def replace_subject(spec: ClipSpec, subject: str, colour: str) -> ClipSpec:
    """Return the spec of another subject in the same place, standing still."""
    return replace(spec, subject=subject, colour=colour, action="stays", light="steady")


def _names() -> Iterator[tuple[str, str]]:
    for name, subject in SUBJECTS.items():
        for colour in subject.colours:
            yield name, colour


def _distance(pixels: NDArray[np.float64], backdrop: NDArray[np.float64], track: Track, candidate: ClipSpec) -> float:
    """Return the smallest difference over the candidate's poses."""
    lit = replace(candidate, start_light=float(track.light[-1]))
    return min(_difference(pixels, backdrop, track, pose) for pose in _poses(lit))


def _poses(candidate: ClipSpec) -> Iterator[ClipSpec]:
    """Yield the appearances of a candidate: both facings if it turns, else at rest and mid-motion (a ball rolls)."""
    if SUBJECTS[candidate.subject].turns:
        yield from (replace(candidate, facing=facing) for facing in (-1, 1))
    else:
        yield candidate
        yield from (replace(candidate, action=action, extent=0.0) for action in ("moves_left", "moves_right"))


def _difference(pixels: NDArray[np.float64], backdrop: NDArray[np.float64], track: Track, candidate: ClipSpec) -> float:
    """Return the mean difference over the pixels of the found subject and of the candidate drawn in its place.

    The candidate's own size and place are measured by the same tracker, so that its shadow counts on both sides.
    """
    size = candidate.size * float(track.size[-1]) / max(_tracked_size(candidate), 1e-3)
    resized = replace(candidate, size=float(np.clip(size, _SMALLEST_SIZE, _LARGEST_SIZE)))
    drawn, place = _draw(resized, backdrop)
    side = place.mask.shape[0]
    shift = (round((float(track.centre_y[-1]) - place.y) * side), round((float(track.centre_x[-1]) - place.x) * side))
    moved = np.roll(place.mask, shift, axis=(0, 1))
    painted = np.where(moved[..., None], np.roll(drawn, shift, axis=(0, 1)), backdrop)
    region = moved | track.masks[-1]
    return float(np.abs(painted - pixels)[region].mean()) if region.any() else float("inf")


@lru_cache(maxsize=1024)
def _tracked_size(candidate: ClipSpec) -> float:
    """Return the size that the tracker measures of a drawn candidate, in the light that the candidate has."""
    return _draw(candidate, apply_light(render_backdrop(candidate), candidate.start_light))[1].size


def _draw(candidate: ClipSpec, backdrop: NDArray[np.float64]) -> tuple[NDArray[np.float64], Place]:
    drawn = render_picture(candidate, FRAME_COUNT - 1) / 255.0
    return drawn, locate_subject(drawn, backdrop, candidate.start_light)
