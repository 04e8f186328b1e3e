"""Plans clips longer than the world's usual ones: stages of one subject, each of which begins where the last ended."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from pocket.world.motion import Curve, Motion, plan_motion
from pocket.world.spec import ClipSpec

_MIDDLE = 0.5
_LARGEST_OFFSET = 0.34
_SIZES = (0.3, 0.9)


def plan_chain(spec: ClipSpec, actions: Sequence[str], frame_counts: Sequence[int]) -> Motion:
    """The curves of a clip whose subject does one action after the other.

    Stage k adds `frame_counts[k]` frames; the first frame of the clip is counted with the first stage. The spec's
    action has no effect. The light changes over the whole clip.
    """
    stages: list[Motion] = []
    for action, count in zip(actions, frame_counts, strict=True):
        stage = replace(_continued(spec, stages[-1]) if stages else spec, action=action)
        times = np.linspace(0.0, 1.0, count + 1)[1:] if stages else np.linspace(0.0, 1.0, count)
        stages.append(_sampled(plan_motion(stage), times))
    curves = {name: np.concatenate([getattr(stage, name) for stage in stages]) for name in _CURVES}
    curves["light"] = _at(plan_motion(spec).light, np.linspace(0.0, 1.0, sum(frame_counts)))
    return Motion(**curves)


def stays_in_sight(motion: Motion) -> bool:
    """Return True if the subject stays large enough, and near enough to the middle, to be seen whole."""
    offset = np.maximum(np.abs(motion.centre_x - _MIDDLE), np.abs(motion.centre_y - _MIDDLE))
    smallest, largest = _SIZES
    return bool(offset.max() <= _LARGEST_OFFSET and motion.size.min() >= smallest and motion.size.max() <= largest)


_CURVES = tuple(item.name for item in fields(Motion))


def _continued(spec: ClipSpec, before: Motion) -> ClipSpec:
    """The spec whose subject stands where a motion ended."""
    resting = replace(spec, action="stays", lift=0.0, size=float(before.size[-1]))
    return replace(
        resting,
        centre_x=float(before.centre_x[-1]),
        lift=float(before.centre_y[-1] + before.height[-1] - plan_motion(resting).centre_y[0]),
        facing=1 if before.side[-1] > 0 else -1,
    )


def _sampled(motion: Motion, times: Curve) -> Motion:
    return Motion(**{name: _at(getattr(motion, name), times) for name in _CURVES})


def _at(curve: Curve, times: Curve) -> Curve:
    """Values of a curve at times, 0 at its beginning and 1 at its end."""
    return np.interp(times, np.linspace(0.0, 1.0, len(curve)), curve)
