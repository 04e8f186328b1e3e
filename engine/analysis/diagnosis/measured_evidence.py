"""Evidence for remedies from what a fit on outcomes says: how much each figure lowers the chance of success.

Each figure of the pair belongs to the remedy that changes it, and weighs the log odds that it costs. Only what no
figure of the pair tells, because it is seen in the clip, has a weight by judgement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.api.diagnosis import RemedyKind, SymptomKind

REMEDY_OF: Mapping[str, RemedyKind] = {
    "score": RemedyKind.MATCH,
    "subject": RemedyKind.MATCH,
    "action": RemedyKind.MATCH,
    "environment": RemedyKind.MATCH,
    "missing_nouns": RemedyKind.MATCH,
    "further_actions": RemedyKind.SHORTEN,
    "wording_warnings": RemedyKind.SHORTEN,
    "wording_errors": RemedyKind.SHORTEN,
    "coverage_lack": RemedyKind.PICTURE,
    "coverage_excess": RemedyKind.PICTURE,
    "centre_offset": RemedyKind.PICTURE,
    "clutter": RemedyKind.PICTURE,
    "text_coverage": RemedyKind.PICTURE,
    "blockiness": RemedyKind.PICTURE,
    "guidance_above": RemedyKind.GUIDANCE,
    "guidance_below": RemedyKind.GUIDANCE,
}
"""Figures of the pair that a remedy changes. No remedy changes the number of steps."""

_USUAL: Mapping[RemedyKind, float] = {
    RemedyKind.MATCH: 0.05,
    RemedyKind.SHORTEN: 0.04,
    RemedyKind.PICTURE: 0.03,
    RemedyKind.GUIDANCE: 0.02,
}
CLIP_REMEDIES = tuple(_USUAL)
"""Remedies of a clip, or of a segment alone; the others are of chains."""
_SEEN_IN_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Reason:
    """Evidence for a remedy; ``name`` is a figure of the pair, ``usual``, or a symptom's value."""

    kind: RemedyKind
    weight: float
    name: str


def measured_reasons(
    figures: Mapping[str, float], log_odds: Mapping[str, float], symptoms: Collection[SymptomKind]
) -> Iterator[Reason]:
    """Reasons for every remedy. ``log_odds``: what each figure of the pair adds to the log odds of success."""
    yield from (Reason(kind, weight, "usual") for kind, weight in _USUAL.items())
    for name, kind in REMEDY_OF.items():
        loss = -log_odds.get(name, 0.0)
        if loss > 0.0:
            yield Reason(kind, loss, name)
    if SymptomKind.BURNT_COLOURS in symptoms and figures.get("guidance_above", 0.0) > 0.0:
        yield Reason(RemedyKind.GUIDANCE, _SEEN_IN_CLIP, "guidance_above")
    if SymptomKind.FIRST_FRAME in symptoms:
        yield Reason(RemedyKind.PICTURE, _SEEN_IN_CLIP, "first_frame")


def ranked(reasons: Iterable[Reason]) -> tuple[RemedyKind, ...]:
    """The remedies of a clip by the sum of their reasons, largest first."""
    sums = dict.fromkeys(_USUAL, 0.0)
    for reason in reasons:
        sums[reason.kind] += reason.weight
    return tuple(sorted(sums, key=lambda kind: -sums[kind]))
