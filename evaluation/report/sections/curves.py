"""Success and figures over guidance scale and over number of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evaluation.plan.model import Arm
from evaluation.report.drawing.curve import draw_curve
from evaluation.report.evidence import ROWS, SUCCESS, Evidence
from evaluation.report.guidance_ranges import guidance_arms, guidance_of
from evaluation.report.section import Picture, Section, missing
from evaluation.report.sections.arms import mean_figure
from evaluation.report.wording import number, share_text, table

_FIGURES = ("subject_consistency", "background_consistency", "dynamic_degree")
_SHARES = (SUCCESS, "subject stable", "motion plausible")
_ADVISED_GUIDANCE = (7.0, 9.0)


def guidance_section(evidence: Evidence) -> Section:
    """The guidance curve, with the bundle's own scale and the range that the article advises."""
    arms = _judged(evidence, guidance_arms(evidence))
    own = evidence.plan.default_guidance_scale
    text = (
        f"The same pictures, sentences and seeds at other guidance scales. The bundle's own is {own:g}; the article "
        "advises 7 to 9, and never above 10."
    )
    return _section(
        "Guidance", text, "guidance", evidence, arms, lambda arm: guidance_of(evidence, arm), own, _ADVISED_GUIDANCE
    )


def steps_section(evidence: Evidence) -> Section:
    """The steps curve, with the bundle's own number."""
    own = evidence.plan.default_step_count
    arms = [*evidence.in_group("steps"), *([evidence.matched] if evidence.matched is not None else [])]
    arms = sorted(_judged(evidence, arms), key=lambda arm: evidence.of(arm.id)[0].settings.step_count)
    text = f"The same pictures, sentences and seeds with other numbers of steps. The bundle's own is {own}."
    return _section(
        "Steps", text, "steps", evidence, arms, lambda arm: evidence.of(arm.id)[0].settings.step_count, own, None
    )


def curve_table(
    evidence: Evidence, arms: Sequence[Arm], value: Callable[[Arm], float], head: str, rows: Sequence[str]
) -> str:
    """One row for each arm of a curve: rows of the article's table, then consistency and dynamic degree."""
    names = [name.replace("_", " ") for name in _FIGURES]
    return table(
        [head, "clips", *rows, *names],
        [
            [
                f"{value(arm):g}",
                str(evidence.success(arm.id).count),
                *(share_text(evidence.share(evidence.of(arm.id), row)) for row in rows),
                *(number(mean_figure(evidence.of(arm.id), name), 3) for name in _FIGURES),
            ]
            for arm in arms
        ],
    )


def curve_picture(
    evidence: Evidence,
    arms: Sequence[Arm],
    value: Callable[[Arm], float],
    name: str,
    label: str,
    *,
    own_value: float | None = None,
    advised: tuple[float, float] | None = None,
) -> Picture:
    """The curve of arms with a truth as a picture."""
    shares = {row: [evidence.share(evidence.of(arm.id), row) for arm in arms] for row in _SHARES}
    figures: Mapping[str, Sequence[float]] = {
        figure.replace("_", " "): [mean_figure(evidence.of(arm.id), figure) or 0.0 for arm in arms]
        for figure in _FIGURES
    }
    drawing = draw_curve([value(arm) for arm in arms], shares, figures, label, own_value=own_value, advised=advised)
    return Picture(name, f"Success, consistency and dynamic degree over {label}", drawing)


def _section(
    title: str,
    text: str,
    name: str,
    evidence: Evidence,
    arms: Sequence[Arm],
    value: Callable[[Arm], float],
    own_value: float,
    advised: tuple[float, float] | None,
) -> Section:
    label = {"guidance": "guidance scale", "steps": "number of steps"}[name]
    if len(arms) < 2:
        return missing(title, f"fewer than two arms with clips differ in {label}.")
    picture = curve_picture(evidence, arms, value, name, label, own_value=own_value, advised=advised)
    return Section(title, f"{text}\n\n{curve_table(evidence, arms, value, label, tuple(ROWS))}", [picture])


def _judged(evidence: Evidence, arms: Sequence[Arm]) -> list[Arm]:
    return [arm for arm in arms if evidence.success(arm.id).count]
