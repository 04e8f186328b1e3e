"""The figures of fits on outcomes as lines of text, for the command's output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def outcome_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Lines for the figures of ``fit_outcomes``."""
    yield from _success_lines(figures["success"])
    if figures["clip_success"] is None:
        yield "judged success after the clip: not fitted, the outcomes hold no figure of a clip"
        return
    yield from _clip_lines(figures["clip_success"])
    if figures["diagnosis"] is None:
        yield "diagnosis: not fitted, no outcome is a good clip of a matching pair (is_matched)"
        return
    yield from _diagnosis_lines(figures["diagnosis"])


def _success_lines(item: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"chance before the clip: {item['outcome_count']} outcomes, {item['failure_count']} failures, "
        f"{item['group_count']} groups; held out:"
    )
    for name in ("fitted", "prior", "base_rate"):
        yield _probabilities(name, item[name])
    yield f"  weights: {_weights(item['factors'])}"
    for verdict in item["verdicts"]:
        if verdict["is_below"] or verdict["is_above"]:
            low, high = verdict["interval"]
            yield (
                f"  {verdict['arm']}: verdict good with a mean chance of {verdict['mean_chance']:.3f} "
                f"{'below' if verdict['is_below'] else 'above'} the measured rate, {low:.3f} to {high:.3f} "
                f"({verdict['success_count']} of {verdict['clip_count']})"
            )


def _clip_lines(item: Mapping[str, Any]) -> Iterator[str]:
    yield "judged success after the clip, held out:"
    yield _probabilities("fitted", item["fitted"])
    yield f"  area under curve within arms: {_area(item['area_under_curve_within_arms'])}"
    yield f"  weights: {_weights(item['factors'])}"
    yield (
        f"  accepted from {item['accept_from']:.4f}: rejects {_share(item['false_rejects'])} of the good clips, "
        f"accepts {_share(item['false_accepts'])} of the failed ones"
    )
    best = sorted(item["single_figures"].items(), key=lambda entry: -entry[1]["area_under_curve"])
    for name, areas in best:
        area, within = _area(areas["area_under_curve"]), _area(areas["within_arms"])
        yield f"  {name:24} area under curve {area}, within arms {within}"


def _diagnosis_lines(item: Mapping[str, Any]) -> Iterator[str]:
    yield "diagnosis, held out:"
    for name in ("fitted", "default"):
        part = item[name]
        yield (
            f"  {name:8} thresholds: false alarms {_share(part['false_alarms'])} of the good clips of matching pairs, "
            f"misses {_share(part['misses'])} of the failed clips"
        )
    for kind, part in item["fitted"]["by_symptom"].items():
        yield f"  {kind:16} false alarms {_share(part['false_alarms'])}, found {_share(part['found'])} of the failed"
    remedies = item["remedies"]
    yield (
        f"  right remedy first: {_share(remedies['all'])} of the failed clips that have one, "
        f"{_share(remedies['with_symptom'])} of those with a symptom; told earlier: {_share(remedies['earlier'])}"
    )
    for name in ("by_remedy", "by_arm"):
        for kind, part in remedies[name].items():
            if part["count"]:
                yield f"    {kind:20} {_share(part)}"


def _probabilities(name: str, item: Mapping[str, Any]) -> str:
    return (
        f"  {name:10} Brier {item['brier_score']:.4f}  calibration error {item['calibration_error']:.4f}  "
        f"area under curve {item['area_under_curve']:.3f}"
    )


def _weights(weights: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{_term(item)} {item['weight']:+.2f}" for item in weights)


def _term(item: Mapping[str, Any]) -> str:
    return item["name"] if item["above"] is None else f"{item['name']} above {item['above']:.2f}"


def _area(area: float | None) -> str:
    return "-" if area is None else f"{area:.3f}"


def _share(item: Mapping[str, Any]) -> str:
    if item["share"] is None:
        return "- (of 0)"
    low, high = item["interval"]
    return f"{item['share']:.1%} ({low:.1%} to {high:.1%}, {item['hit_count']} of {item['count']})"
