"""Success and figures over guidance scale and over number of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Curve:
    """A setting that differs between arms: the name of its picture, its label, and its value in an arm."""

    name: str
    label: str
    value_of: Callable[[Arm], float]
    own_value: float
    advised: tuple[float, float] | None = None


def guidance_section(evidence: Evidence) -> Section:
    """The guidance curve, with the bundle's own scale and the range that the article advises."""
    own = evidence.plan.default_guidance_scale
    curve = _Curve(
        "guidance", "guidance scale", lambda arm: guidance_of(evidence, arm), own_value=own, advised=_ADVISED_GUIDANCE
    )
    text = (
        f"The same pictures, sentences and seeds at other guidance scales. The bundle's own is {own:g}; the article "
        "advises 7 to 9, and never above 10."
    )
    return _section("Guidance", text, evidence, guidance_arms(evidence), curve)


def steps_section(evidence: Evidence) -> Section:
    """The steps curve, with the bundle's own number."""
    own = evidence.plan.default_step_count

    def steps_of(arm: Arm) -> float:
        return evidence.of(arm.id)[0].settings.step_count

    arms = [*evidence.in_group("steps"), *([evidence.matched] if evidence.matched is not None else [])]
    text = f"The same pictures, sentences and seeds with other numbers of steps. The bundle's own is {own}."
    curve = _Curve("steps", "number of steps", steps_of, own_value=own)
    return _section("Steps", text, evidence, sorted(arms, key=steps_of), curve)


def _section(title: str, text: str, evidence: Evidence, arms: Sequence[Arm], curve: _Curve) -> Section:
    judged = [arm for arm in arms if evidence.success(arm.id).count]
    if len(judged) < 2:
        return missing(title, f"fewer than two arms with clips differ in {curve.label}.")
    return Section(title, f"{text}\n\n{_table(evidence, judged, curve)}", [_picture(evidence, judged, curve)])


def _table(evidence: Evidence, arms: Sequence[Arm], curve: _Curve) -> str:
    rows = [
        [
            f"{curve.value_of(arm):g}",
            str(evidence.success(arm.id).count),
            *(share_text(evidence.share(evidence.of(arm.id), row)) for row in ROWS),
            *(number(mean_figure(evidence.of(arm.id), name), 3) for name in _FIGURES),
        ]
        for arm in arms
    ]
    return table([curve.label, "clips", *ROWS, *(name.replace("_", " ") for name in _FIGURES)], rows)


def _picture(evidence: Evidence, arms: Sequence[Arm], curve: _Curve) -> Picture:
    rows = {row: [evidence.share(evidence.of(arm.id), row) for arm in arms] for row in _SHARES}
    shares = {row: listed for row, listed in rows.items() if all(share.count for share in listed)}
    figures = {
        name.replace("_", " "): [mean_figure(evidence.of(arm.id), name) or 0.0 for arm in arms] for name in _FIGURES
    }
    values = [curve.value_of(arm) for arm in arms]
    drawing = draw_curve(values, shares, figures, curve.label, own_value=curve.own_value, advised=curve.advised)
    return Picture(curve.name, f"Success, consistency and dynamic degree over {curve.label}", drawing)
