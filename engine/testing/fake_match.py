"""The fake engine's match report. Its numbers can be computed by hand.

* the score is 10 for each word of the prompt, at most 100; the cosine, and the probability of every clause of
  subject, action and environment, is a hundredth of it, and every contrast is 0;
* a clause weighs what ``engine.matching.score.WEIGHTS`` gives its kind, shared among clauses of that kind;
* the subject fills the middle half of width and height, rounded down, and the heat map is 1 there and 0 elsewhere;
  nothing is beside it;
* a noun ``dolphin`` or ``海豚`` is always missing from the picture, every other noun is present;
* each compiled size gets the largest centred window of its aspect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.analysis.prompt.clauses import parse_clauses
from engine.api.capabilities import Geometry
from engine.api.match_report import ClauseScore, Grounding, MatchBasis, MatchReport, Placing
from engine.api.media import Box
from engine.api.prompt_report import Clause, ClauseKind
from engine.matching.score import WEIGHTS, verdict_of
from engine.media.cropping import center_window, proposal_of, sizes_of

_ABSENT = frozenset({"dolphin", "海豚"})
_HEAT_MAP = ((0.0, 0.0, 0.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0))


def fake_match_report(prompt: str, width_px: int, height_px: int, geometries: Sequence[Geometry]) -> MatchReport:
    """The report on a picture of this size in pixels; see the module's docstring."""
    clauses = parse_clauses(prompt)
    score = min(10.0 * len(prompt.split()), 100.0)
    box = Box(width_px // 4, height_px // 4, width_px // 2, height_px // 2)
    return MatchReport(
        score,
        verdict_of(score),
        similarity=score / 100,
        contrast=0.0,
        basis=MatchBasis.UNCALIBRATED,
        clauses=tuple(_scored(clauses, score / 100)),
        plausibility=score / 100 if any(clause.kind is ClauseKind.ACTION for clause in clauses) else None,
        grounding=Grounding(_HEAT_MAP, box, 0.5, 0.25, center_x=0.5, center_y=0.5, center_offset=0.0),
        missing_nouns=tuple(noun for clause in clauses for noun in clause.nouns if noun.text.lower() in _ABSENT),
        crops=tuple(proposal_of(center_window(width_px, height_px, size), box, *size) for size in sizes_of(geometries)),
        placing=Placing(0.5, center_offset=0.0, clutter=0.0),
    )


def _scored(clauses: Sequence[Clause], probability: float) -> Iterator[ClauseScore]:
    counts = Counter(clause.kind for clause in clauses)
    for clause in clauses:
        is_judged = clause.kind in WEIGHTS
        yield ClauseScore(
            kind=clause.kind,
            span=clause.span,
            text=clause.text,
            language=clause.language,
            stage=clause.stage,
            contrast=0.0 if is_judged else None,
            probability=probability if is_judged else None,
            gated_probability=probability if is_judged else None,
            weight=WEIGHTS.get(clause.kind, 0.0) / counts[clause.kind],
        )
