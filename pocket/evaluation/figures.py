"""Statistics over evaluated clips: shares with confidence intervals, and means."""

from collections.abc import Callable, Sequence

import numpy as np

from export.calibrate.statistics import wilson_interval
from pocket.evaluation.clips import Outcome

Figures = dict[str, float | int | list[float] | None]

_MEASURES: dict[str, Callable[[Outcome], bool]] = {
    "motion_followed": lambda outcome: outcome.motion_followed,
    "light_followed": lambda outcome: outcome.light_followed,
    "subject_kept": lambda outcome: outcome.subject_kept,
    "pictured_subject_found": lambda outcome: outcome.found == (outcome.spec.subject, outcome.spec.colour),
}


def summarise(outcomes: Sequence[Outcome], pairs: Sequence[tuple[Outcome, Outcome]] = ()) -> Figures:
    """Return shares (0..1) with their 95 % intervals, and means, by name; None where nothing was measured.

    `pairs` are clips of one picture and seed with opposite actions.
    """
    figures: Figures = {"clip_count": len(outcomes)}
    for name, measure in _MEASURES.items():
        figures |= _share(name, [measure(outcome) for outcome in outcomes])
    turned = [o.found == _told(o) for o in outcomes if _told(o) != (o.spec.subject, o.spec.colour)]
    figures |= _share("told_subject_found", turned)
    if pairs:
        figures["pair_count"] = len(pairs)
        figures |= _share("opposite_pairs_followed", [a.motion_followed and b.motion_followed for a, b in pairs])
    for name in ("first_frame_psnr_db", "subject_psnr_db", "scene_psnr_db", "match_score", "seconds"):
        figures[name] = _mean([getattr(outcome, name) for outcome in outcomes])
    return figures


def _told(outcome: Outcome) -> tuple[str, str]:
    return outcome.told.subject, outcome.told.colour


def _share(name: str, hits: Sequence[bool]) -> Figures:
    if not hits:
        return {name: None}
    low, high = wilson_interval(sum(hits), len(hits))
    return {name: round(sum(hits) / len(hits), 4), f"{name}_interval": [round(low, 3), round(high, 3)]}


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None
