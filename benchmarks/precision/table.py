"""Writes docs/precision.md from the figures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.bundle.graph_spec import Precision
from export.quantise.recipes import Recipe, Rule, recipe_for

_PRECISIONS: tuple[Precision, ...] = ("fp16", "bf16", "int8", "fp8", "int4")


def markdown(rows: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]], setting: Mapping[str, Any]) -> str:
    """Returns the whole page. ``rows`` are recipes, ``groups`` groups of linear layers, ``setting`` the conditions."""
    lines = [
        "# Precision",
        "",
        "What each recipe costs. This page was written by",
        "`python -m benchmarks.precision --json FILE --markdown docs/precision.md`.",
        "",
        f"Subject: {setting['name']}, {setting['width_px']}x{setting['height_px']}, {setting['frame_count']} frames, "
        f"{setting['step_count']} steps, {setting['clip_count']} clips of held-out combinations, same seeds. "
        f"Calibrated on {setting['calibration_pairs']} other clips.",
        "",
        "* **error**: relative error of the transformer's output, over inputs recorded in generations in fp32; the "
        "first figure is the high-noise expert's (or the only one's), the second the low-noise expert's.",
        "* **PSNR**: of the final clip against the clip in fp32, in dB, mean and worst of the clips.",
        "* **linears alone**: the error with everything else in fp32.",
        "* **weights**: bytes of the transformers' weights against fp16.",
        "",
        "| recipe | error | linears alone | PSNR mean | PSNR worst | weights |",
        "|---|---|---|---|---|---|",
        *(_row(row) for row in rows),
        "",
        "These are figures of a small model. A full-size one has longer sums, over which errors average out, and "
        "larger outliers, which scales must span: measure it with the same command before it is served in fewer bits.",
        "",
        "Graphs ran in ONNX Runtime, node by node, on a CPU: QuantizeLinear and DequantizeLinear of every format as "
        "the card's compiler reads them. Half precision is emulated: every result of arithmetic is rounded to float16 "
        "or bfloat16, sums are float32, as in a card's kernels.",
        "",
        "## Where the error comes from",
        "",
        "One group of linears quantised at a time, the rest in fp32; high-noise expert.",
        "",
        "| group | int8 | fp8 | int4 to nearest | int4 |",
        "|---|---|---|---|---|",
        *(
            f"| `{group['group']}` | "
            + " | ".join(_figure(group[name]) for name in ("int8", "fp8", "int4_nearest", "int4"))
            + " |"
            for group in groups
        ),
        "",
        "## The recipes",
        "",
    ]
    for kind in ("transformer", "text_encoder", "vae"):
        lines += [f"### {kind.replace('_', ' ')}", ""]
        for precision in _PRECISIONS:
            lines += [f"**{precision}**, the rest {_dtype(recipe_for(kind, precision))}:", ""]
            rules = recipe_for(kind, precision).rules
            lines += [_rule(rule) for rule in rules] or ["- every weight."]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(row: Mapping[str, Any]) -> str:
    errors, alone = (" / ".join(_figure(item) for item in row[key]) for key in ("errors", "linear_errors"))
    return (
        f"| {row['name']} | {errors} | {alone} | {row['psnr_mean_db']:.1f} | {row['psnr_worst_db']:.1f} "
        f"| {row['weight_share']:.2f} |"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _dtype(recipe: Recipe) -> str:
    return str(recipe.dtype).removeprefix("torch.")


def _rule(rule: Rule) -> str:
    what = rule.form or (str(rule.dtype).removeprefix("torch.") if rule.dtype else "kept")
    inputs = ", with its input" if rule.with_input else ""
    return f"- `{rule.pattern}`: {what}{inputs}. {rule.reason}"
