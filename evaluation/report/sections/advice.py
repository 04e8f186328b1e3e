"""Each piece of the article's advice: holds, does not hold, or cannot be told here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from evaluation.plan.model import Arm
from evaluation.report.advice_list import ADVICE, LENGTH, Advice
from evaluation.report.comparison import Comparison
from evaluation.report.evidence import Evidence
from evaluation.report.remedy_effect import RemedyEffect
from evaluation.report.section import Section
from evaluation.report.wording import points_text, table
from evaluation.statistics.difference import Difference

# A loss of success, or a gain by a remedy, that matters.
MATTERS = 0.10


class Verdict(Enum):
    """Verdict of the clips on an advice."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNTOLD = "cannot be told here"


@dataclass(frozen=True, slots=True)
class _Finding:
    """One comparison: a name, the effect of the advice (gain by keeping it), and whether the gain is significant."""

    name: str
    gain: Difference
    is_significant: bool


def advice_section(
    evidence: Evidence, comparisons: Mapping[str, Comparison], effects: Sequence[RemedyEffect]
) -> Section:
    """One row for each advice of the article, then one for each other that the plan names."""
    text = (
        "An advice *holds* if a condition that breaks it has significantly less success than the one that keeps it "
        "(p below 0.05 after Holm's correction), or if the remedy that applies it mends significantly more failed "
        "clips than a new seed. It *does not hold* if every interval excludes a gain of more than "
        f"{100 * MATTERS:.0f} points. Otherwise it *cannot be told here*. Gain: success with the advice less "
        "success without, in points, with Newcombe's interval; bold: significant.\n\n"
    )
    listed = {item.id for item in ADVICE}
    named = dict.fromkeys(arm.advice for arm in evidence.arms if arm.advice is not None and arm.advice not in listed)
    rows = [_row(item, evidence, comparisons, effects) for item in (*ADVICE, *(Advice(name, name) for name in named))]
    return Section("The article's advice", text + table(["advice", "verdict", "gain", "remark"], rows))


def verdict_of(findings: Sequence[tuple[Difference, bool]]) -> Verdict:
    """The verdict of gains with their significance."""
    if any(is_significant and gain.value > 0 for gain, is_significant in findings):
        return Verdict.HOLDS
    if findings and all(gain.high <= MATTERS for gain, _ in findings):
        return Verdict.FAILS
    return Verdict.UNTOLD


def _row(
    advice: Advice, evidence: Evidence, comparisons: Mapping[str, Comparison], effects: Sequence[RemedyEffect]
) -> list[str]:
    arms = [arm for arm in evidence.arms if arm.advice == advice.id]
    told = [*_of_arms(advice, arms, comparisons), *_of_remedy(advice, effects)]
    verdict = verdict_of([(item.gain, item.is_significant) for item in told])
    untold = [_untold(arm, comparisons) for arm in arms if arm.untold is not None]
    figures = [f"{item.name}: {_marked(points_text(item.gain), item.is_significant)}" for item in told]
    return [advice.title, verdict.value, "<br>".join(figures), "<br>".join([*untold, *_remarks(advice, evidence)])]


def _of_arms(advice: Advice, arms: Sequence[Arm], comparisons: Mapping[str, Comparison]) -> list[_Finding]:
    names = {arm.id: arm.title for arm in arms if arm.untold is None}
    if advice.range_name is not None:
        names = {advice.range_name: advice.range_name}
    return [
        _Finding(title, _reversed(comparisons[name].difference), comparisons[name].is_worse)
        for name, title in names.items()
        if name in comparisons
    ]


def _of_remedy(advice: Advice, effects: Sequence[RemedyEffect]) -> list[_Finding]:
    if advice.remedy is None:
        return []
    return [
        _Finding(f"failed clips of {effect.base.title}", effect.gain, effect.is_better)
        for effect in effects
        if effect.remedy == advice.remedy and effect.gain is not None
    ]


def _untold(arm: Arm, comparisons: Mapping[str, Comparison]) -> str:
    comparison = comparisons.get(arm.id)
    gain = "" if comparison is None else f" ({points_text(_reversed(comparison.difference))})"
    return f"{arm.title}{gain}: {arm.untold}"


def _remarks(advice: Advice, evidence: Evidence) -> list[str]:
    if advice.id != LENGTH:
        return []
    seconds = sorted({clip.settings.frame_count / clip.settings.frame_rate for clip in evidence.clips})
    if len(seconds) == 1:
        return [f"all clips last {seconds[0]:g} s"]
    return [f"clips last {seconds[0]:g} to {seconds[-1]:g} s"]


def _marked(text: str, is_significant: bool) -> str:
    return f"**{text}**" if is_significant else text


def _reversed(loss: Difference) -> Difference:
    return Difference(-loss.value, -loss.high, -loss.low)
