"""Introduction: clips, commands, and the result on the article's claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from evaluation.report.comparison import Comparison
from evaluation.report.evidence import REMEDY_GROUP, Evidence
from evaluation.report.sections.claim import claim_sentence
from evaluation.report.wording import listed

_PLANS = Path(__file__).parents[2] / "plans"
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_SOURCES = {
    "truth": "A clip counts as good if it shows what the drawn clip of its pair shows: subject, motion, and scene.",
    "ratings": "A clip counts as good if a person rated it so (`ratings.csv`).",
    "thresholds": "No truth and no ratings: a clip counts as good by thresholds on its figures, set on matched clips.",
}


def introduction(evidence: Evidence, comparisons: Mapping[str, Comparison]) -> str:
    """The first paragraphs of the page."""
    plan, clips = evidence.plan, evidence.clips
    languages = Counter(clip.language for clip in clips)
    spoken = listed(f"{count} {_LANGUAGES.get(code, code)}" for code, count in sorted(languages.items()))
    redone = [arm for arm in plan.arms if arm.group == REMEDY_GROUP and evidence.of(arm.id)]
    again = sum(len(evidence.of(arm.id)) for arm in redone)
    text = (
        f"{len(clips)} clips of {len({clip.pair for clip in clips})} pairs of picture and sentence ({spoken}) in "
        f"{len(evidence.arms)} arms, and {again} of them in {len(redone)} further arms that make failed clips again "
        f"with a remedy. Bundle `{plan.bundle_name}` ({plan.bundle_digest[:12]}), plan `{plan.plan.name}`, first seed "
        f"{plan.plan.seed}; guidance {plan.default_guidance_scale:g} and {plan.default_step_count} steps, unless an "
        f"arm says otherwise. {_SOURCES[evidence.labels.source]}{_lacking(evidence)}"
    )
    return (
        f"<!-- Written by python -m evaluation report. -->\n\n{claim_sentence(evidence, comparisons)}\n\n{text} "
        "The same clips give the same page:\n\n"
        "```console\n"
        f"$ python -m evaluation run --bundle BUNDLE --plan {_file_of(plan.plan.name)} --out FOLDER\n"
        "$ python -m evaluation report FOLDER\n"
        "```\n"
    )


def _lacking(evidence: Evidence) -> str:
    """Says so if the run is not complete. Pairs in a file can be fewer than the plan's count."""
    plan = evidence.plan.plan
    made, planned = sum(len(evidence.of(arm.id)) for arm in plan.arm), sum(map(plan.count_of, plan.arm))
    without = sum(not evidence.of(arm.id) for arm in plan.arm)
    if plan.world is not None and made < planned:
        return f" **The run is not complete: {made} of {planned} clips are made.**"
    return f" **{without} arms have no clips yet.**" if without else ""


def _file_of(plan_name: str) -> str:
    """The plan of this name in the repository, or a placeholder."""
    known = _PLANS / f"{plan_name}.toml"
    return known.relative_to(_PLANS.parent.parent).as_posix() if known.is_file() else "PLAN.toml"
