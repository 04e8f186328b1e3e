"""Pictures that break the article's advice: small, off centre, with distractors, compressed, stretched."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.plan.model import MATCHED, Arm
from evaluation.report.comparison import Comparison
from evaluation.report.drawing.curve import draw_shares
from evaluation.report.evidence import Evidence
from evaluation.report.section import Picture, Section, missing
from evaluation.report.wording import NO_FIGURE, points_text, share_text, table
from evaluation.statistics.share import Share


def pictures_section(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> Section:
    """One row for each arm of changed pictures, beside what the truth's judge says of the drawn clip itself."""
    name = "Pictures"
    arms = evidence.in_group("picture")
    if not arms:
        return missing(name, "the plan has no arms of changed pictures, or they have no clips.")
    text = (
        "Judge on the drawn clip: the share of drawn clips, which are right by definition, in which the truth's judge "
        "recognises the subject. Where it is below 100 %, the judge fails as well as the model, so the next column "
        "counts only the clips whose drawn clip passes.\n\n"
    )
    heads = ["arm", "clips", "success", "judge on the drawn clip", "success where the judge passes", "difference"]
    text += table(heads, [_row(arm, evidence, comparisons.get(arm.id)) for arm in arms])
    sized = sorted((arm for arm in arms if arm.picture.size is not None), key=lambda arm: arm.picture.size or 0.0)
    sized = [arm for arm in sized if evidence.success(arm.id).count]
    return Section(name, text, [_size_picture(evidence, sized)] if len(sized) > 1 else [])


def ceiling_of(evidence: Evidence, arm: Arm) -> Share:
    """The share of drawn clips in which the truth's judge recognises the subject."""
    truths = [clip.truth for clip in evidence.of(arm.id) if clip.truth is not None]
    return Share.of(truth.judge_ceiling for truth in truths if truth.judge_ceiling is not None)


def passed(evidence: Evidence, arm: Arm) -> Share:
    """The success among the clips whose drawn clip passes the truth's judge."""
    return evidence.share(clip for clip in evidence.of(arm.id) if clip.truth is not None and clip.truth.judge_ceiling)


def _row(arm: Arm, evidence: Evidence, comparison: Comparison | None) -> list[str]:
    success = evidence.success(arm.id)
    return [
        arm.title,
        str(success.count),
        share_text(success),
        share_text(ceiling_of(evidence, arm)),
        share_text(passed(evidence, arm)),
        NO_FIGURE if comparison is None else points_text(comparison.difference),
    ]


def _size_picture(evidence: Evidence, arms: list[Arm]) -> Picture:
    shares = {
        "success": [evidence.success(arm.id) for arm in arms],
        "success where the judge passes": [passed(evidence, arm) for arm in arms],
        "judge on the drawn clip": [ceiling_of(evidence, arm) for arm in arms],
    }
    shares = {name: listed for name, listed in shares.items() if all(share.count for share in listed)}
    reference = evidence.success(MATCHED)
    sizes = [100 * (arm.picture.size or 0.0) for arm in arms]
    return Picture(
        "size", "Success over the size of the subject", draw_shares(sizes, shares, "subject, % of the side", reference)
    )
