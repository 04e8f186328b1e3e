"""Every arm: the article's four rows, the effect, both languages, and motion beside consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from evaluation.plan.model import Arm
from evaluation.record import ClipRecord
from evaluation.report.comparison import Comparison, compared
from evaluation.report.drawing.arms import draw_arms
from evaluation.report.evidence import ROWS, Evidence
from evaluation.report.section import Picture, Section
from evaluation.report.wording import (
    NO_FIGURE,
    listed,
    number,
    p_text,
    points_text,
    rate_text,
    share_text,
    signed,
    table,
)
from evaluation.statistics.share import Share
from evaluation.statistics.significance import LEVEL

_GROUP_TITLES = {
    "sentence": "Sentences",
    "actions": "Actions",
    "picture": "Pictures",
    "guidance": "Guidance scale",
    "steps": "Steps",
}
_MOTION_FIGURES = ("subject_consistency", "background_consistency", "dynamic_degree")


def arms_section(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> Section:
    """Two tables for each group of arms, and the success of all arms as a picture."""
    count = len(comparisons)
    text = (
        "Rates with 95 % intervals by Wilson. Difference: success less that of the arm without the fault, in points, "
        "with Newcombe's interval; h is Cohen's size of the effect (0.2 small, 0.5 medium, 0.8 large); p by Fisher's "
        f"exact test, corrected by Holm's method for the {count} comparisons of this page. The intervals count clips "
        "as independent, though arms share pairs. Consistency stands beside the dynamic degree, because a frozen clip "
        f"has the highest consistency; all three are means of figures that need no truth. {_languages(evidence)}\n"
    )
    for group in dict.fromkeys(arm.group for arm in evidence.arms):
        arms = evidence.in_group(group)
        text += f"\n### {_GROUP_TITLES.get(group, group)}\n\n"
        text += table(
            ["arm", "clips", *ROWS, "en", "zh"],
            [_rates(arm, evidence) for arm in arms],
        )
        text += "\n" + table(
            [
                "arm",
                "success against",
                "difference",
                "h",
                "p",
                "subject consistency",
                "background consistency",
                "dynamic degree",
            ],
            [_effects(arm, evidence, comparisons.get(arm.id)) for arm in arms],
        )
    return Section("Every arm", text, [_picture(evidence, comparisons)])


def mean_figure(clips: Sequence[ClipRecord], name: str) -> float | None:
    """The mean of a figure of clips, None without clips that have it."""
    values = [clip.clip_factors[name] for clip in clips if name in clip.clip_factors]
    return fmean(values) if values else None


def _languages(evidence: Evidence) -> str:
    """Names arms that succeed in one language more than in the other."""
    in_language = {
        code: [evidence.share(clip for clip in evidence.of(arm.id) if clip.language == code) for arm in evidence.arms]
        for code in ("en", "zh")
    }
    found = compared(
        (arm.title, english, "zh", chinese)
        for arm, english, chinese in zip(evidence.arms, in_language["en"], in_language["zh"], strict=True)
    )
    differing = [f"{name} ({points_text(item.difference)})" for name, item in found.items() if item.p < LEVEL]
    if not found:
        return "No arm has clips in both languages."
    if not differing:
        return "English and Chinese differ significantly in no arm (Fisher's test, Holm's correction)."
    return f"English less Chinese, where they differ significantly: {listed(differing)}."


def _rates(arm: Arm, evidence: Evidence) -> list[str]:
    clips = evidence.of(arm.id)
    languages = [rate_text(evidence.share(clip for clip in clips if clip.language == code)) for code in ("en", "zh")]
    return [arm.title, str(len(clips)), *(share_text(evidence.share(clips, row)) for row in ROWS), *languages]


def _effects(arm: Arm, evidence: Evidence, comparison: Comparison | None) -> list[str]:
    figures = [number(mean_figure(evidence.of(arm.id), name), 3) for name in _MOTION_FIGURES]
    if comparison is None:
        return [arm.title, *[NO_FIGURE] * 4, *figures]
    return [
        arm.title,
        evidence.title_of(comparison.base_name),
        points_text(comparison.difference),
        signed(comparison.effect, 2),
        p_text(comparison.p),
        *figures,
    ]


def _picture(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> Picture:
    rows: list[tuple[str, Share, bool]] = []
    for arm in evidence.arms:
        comparison = comparisons.get(arm.id)
        rows.append((arm.title, evidence.success(arm.id), comparison is not None and comparison.is_worse))
    return Picture("arms", "Success of every arm with its interval", draw_arms(rows))
