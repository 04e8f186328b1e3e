"""The article's table with measured figures, and what follows about its claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.plan.model import Arm
from evaluation.report.comparison import Comparison
from evaluation.report.evidence import SUCCESS, Evidence
from evaluation.report.section import Section, missing
from evaluation.report.wording import listed, points_text, share_text, table
from evaluation.statistics.difference import Difference, difference
from evaluation.statistics.share import NOTHING, Share

# By how much success falls without a match, by the article: from 95 % to 60 to 70 %.
ARTICLE_LOSS = (0.25, 0.35)
_ARTICLE = {
    "subject stable": ("yes", "drifts"),
    "motion plausible": ("yes", "no"),
    "scene coherent": ("yes", "no"),
    SUCCESS: ("about 95 %", "60 to 70 %"),
}


def claim_section(evidence: Evidence) -> Section:
    """The article's four rows: matched, mismatched, and each kind of mismatch."""
    name = "The article's table"
    if evidence.matched is None or not evidence.mismatched:
        return missing(
            name, "the plan has no matched arm, or none that contradicts its picture, or they have no clips."
        )
    heads = ["", "the article: matched", "measured", "the article: mismatched", "measured, all kinds"]
    heads += [arm.title for arm in evidence.mismatched]
    rows = [
        [row, matched, _text(evidence, [evidence.matched], row), mismatched, _text(evidence, evidence.mismatched, row)]
        + [_text(evidence, [arm], row) for arm in evidence.mismatched]
        for row, (matched, mismatched) in _ARTICLE.items()
    ]
    counts = ["clips", "", _count(evidence, [evidence.matched]), "", _count(evidence, evidence.mismatched)]
    rows.append([*counts, *(_count(evidence, [arm]) for arm in evidence.mismatched)])
    return Section(name, f"Rates with 95 % intervals by Wilson.\n\n{table(heads, rows)}")


def claim_sentence(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> str:
    """States what follows from the success of matched and mismatched pairs for the article's claim."""
    matched = _share(evidence, [evidence.matched] if evidence.matched is not None else [], SUCCESS)
    mismatched = _share(evidence, evidence.mismatched, SUCCESS)
    if not matched.count or not mismatched.count:
        return "Whether match decides success cannot be told: clips of matched or of mismatched pairs are missing."
    loss = difference(matched, mismatched)
    return (
        f"Matched pairs succeed in {share_text(matched)}, mismatched ones in {share_text(mismatched)}, "
        f"a difference of {points_text(loss)} points: {_verdict(loss)}. {_kinds(evidence, comparisons)}"
    )


def _verdict(loss: Difference) -> str:
    least, most = ARTICLE_LOSS
    claimed = f"{100 * least:.0f} to {100 * most:.0f} points"
    if loss.high < 0:
        return f"mismatched pairs succeed more often, and the article's claim of {claimed} fails"
    if loss.low <= 0:
        if loss.high < least:
            return f"no harm of a mismatch can be shown, and the article's {claimed} are excluded"
        return f"these clips cannot tell whether a mismatch harms, nor exclude the article's {claimed}"
    if loss.high < least:
        return f"a mismatch harms, but less than the article's {claimed}"
    if loss.low > most:
        return f"a mismatch harms more than the article's {claimed}"
    return f"a mismatch harms, and the interval includes part of the article's {claimed}"


def _kinds(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> str:
    """Names the kinds of mismatch that are significantly worse than the matched pairs."""
    judged = [arm for arm in evidence.mismatched if arm.id in comparisons]
    worse = [arm.title for arm in judged if comparisons[arm.id].is_worse]
    others = [arm.title for arm in judged if not comparisons[arm.id].is_worse]
    if not worse:
        return f"None of the kinds ({listed(others)}) is significantly worse than the matched pairs by itself."
    if not others:
        return f"Every kind ({listed(worse)}) is significantly worse than the matched pairs."
    return f"Significantly worse than the matched pairs: {listed(worse)}; not: {listed(others)}."


def _share(evidence: Evidence, arms: Sequence[Arm], row: str) -> Share:
    return sum((evidence.share(evidence.of(arm.id), row) for arm in arms), NOTHING)


def _text(evidence: Evidence, arms: Sequence[Arm], row: str) -> str:
    return share_text(_share(evidence, arms, row))


def _count(evidence: Evidence, arms: Sequence[Arm]) -> str:
    return str(_share(evidence, arms, SUCCESS).count)
