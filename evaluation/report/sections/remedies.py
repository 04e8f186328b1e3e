"""Table of remedies: clips that each mends, against another seed."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.report.evidence import Evidence
from evaluation.report.remedy_effect import RemedyEffect, controls
from evaluation.report.section import Section, missing
from evaluation.report.wording import NO_FIGURE, p_text, points_text, share_text, table


def remedies_section(evidence: Evidence, effects: Sequence[RemedyEffect]) -> Section:
    """One row for each arm and remedy, then the arms that were made again with a new seed alone."""
    name = "Remedies"
    seeds = controls(evidence)
    if not effects and not seeds:
        return missing(name, "no failed clip was made again.")
    text = (
        "Every failed clip of an arm was made again: with a remedy, and, as a control, with the next seed alone. A "
        "remedy counts as better than a new seed if McNemar's exact test on the clips that were made again both ways "
        f"says so, corrected by Holm's method for {len(effects)} remedies. Bold: the remedy that undoes the fault of "
        "the arm.\n\n"
    )
    heads = ["failed clips of", "failed", "remedy", "mended", "mended by a new seed", "gain", "p", "better"]
    text += table(heads, map(_row, effects))
    alone = [row for row in seeds if row[0].id not in {effect.base.id for effect in effects}]
    if alone:
        text += "\nWith a new seed alone:\n\n" + table(
            ["failed clips of", "failed", "mended by a new seed"],
            [[arm.title, str(count), share_text(share)] for arm, count, share in alone],
        )
    return Section(name, text)


def _row(effect: RemedyEffect) -> list[str]:
    tested = bool(effect.control.count)
    return [
        effect.base.title,
        str(effect.failed_count),
        f"**{effect.remedy}**" if effect.is_right else effect.remedy,
        share_text(effect.mended),
        share_text(effect.control),
        NO_FIGURE if effect.gain is None else points_text(effect.gain),
        p_text(effect.p) if tested else NO_FIGURE,
        ("yes" if effect.is_better else "no") if tested else NO_FIGURE,
    ]
