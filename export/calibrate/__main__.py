"""``python -m export.calibrate BUNDLE [PAIRS.jsonl] [--held-out OTHERS.jsonl] [--outcomes OUTCOMES.jsonl] …``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.api.errors import BundleInvalid
from engine.bundle.folder import MANIFEST_NAME, read_manifest
from export.atomic_file import write_text
from export.calibrate.fitting import Figures, calibrate
from export.calibrate.judging import PairScorer
from export.calibrate.outcome_fits import fit_outcomes
from export.calibrate.outcome_table import outcome_lines
from export.calibrate.outcomes import Outcomes, read_outcomes
from export.calibrate.pairs import PairFile, read_pairs
from export.calibrate.plot import reliability_plot
from export.errors import ExportError


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns 0, or 1 for a refused bundle or file."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.pairs is None and options.outcomes is None:
        parser.error("give PAIRS, --outcomes FILE, or both")
    if options.pairs is None and options.held_out is not None:
        parser.error("--held-out needs PAIRS")
    try:
        fitting = read_pairs(options.pairs) if options.pairs else None
        held_out = read_pairs(options.held_out) if options.held_out else None
        outcomes = read_outcomes(options.outcomes) if options.outcomes else None
        figures = calibrate_bundle(options.bundle, fitting, held_out, outcomes)
    except (ExportError, BundleInvalid) as error:
        sys.stderr.write(f"export.calibrate: {error}\n")
        return 1
    try:
        if options.json:
            write_text(options.json, json.dumps(figures, indent=1) + "\n")
        if options.plot:
            write_text(options.plot, reliability_plot(_curves(figures), "Clauses of held-out pairs, chances of clips"))
    except OSError as error:
        sys.stderr.write(f"export.calibrate: the manifest is written, but not the figures: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in _lines(figures)))
    return 0


def calibrate_bundle(
    folder: Path,
    fitting: PairFile | None,
    held_out: PairFile | None = None,
    outcomes: Outcomes | None = None,
) -> Figures:
    """Fits a bundle's scorer and replaces its manifest. Returns the figures on held-out pairs and outcomes.

    Without ``held_out`` the pairs of half of the pictures are held out; without ``fitting`` the calibration of clauses
    stays. Raises ``ExportError`` or ``BundleInvalid``.
    """
    manifest, _ = read_manifest(folder)
    if manifest.scorer is None:
        raise ExportError(f"{folder} has no scorer, and the fits belong to one; export it with a scorer")
    spec, figures = manifest.scorer, Figures()
    if fitting is not None:
        scorer = PairScorer(folder, manifest)
        if held_out is None:
            fitting, held_out = fitting.split()
        spec, figures = calibrate(scorer, spec, fitting, held_out)
        if outcomes is None and spec.success is not None:
            _tell("the chance of success was fitted with the calibration before this one; fit it again: --outcomes")
    if outcomes is not None:
        spec, of_outcomes = fit_outcomes(spec, outcomes, _tell)
        figures |= of_outcomes
    write_text(folder / MANIFEST_NAME, manifest.with_changes(scorer=spec).to_json(indent=1) + "\n")
    return figures


def _tell(line: str) -> None:
    sys.stderr.write(f"export.calibrate: {line}\n")


def _curves(figures: Figures) -> dict[str, list[dict[str, float]]]:
    """The bins of every fit in the figures."""
    curves = {name: item.get("reliability", []) for name, item in figures.get("clauses", {}).items()}
    for name in ("success", "clip_success"):
        if figures.get(name):
            curves[name.replace("_", " ")] = figures[name]["fitted"]["reliability"]
    return curves


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.calibrate",
        description="Fits a bundle's scorer on labelled pairs and on outcomes of clips.",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("pairs", type=Path, nargs="?", help="labelled pairs as JSON lines, see docs/scoring.md")
    parser.add_argument(
        "--held-out", type=Path, help="pairs to measure on (default: the pairs of half of the pictures)"
    )
    parser.add_argument("--outcomes", type=Path, help="outcomes of clips as JSON lines, to fit success and diagnosis")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--plot", type=Path, help="file for the reliability plot, SVG")
    return parser


def _lines(figures: Figures) -> list[str]:
    lines = _pair_lines(figures) if "clauses" in figures else []
    return [*lines, *outcome_lines(figures)] if "success" in figures else lines


def _pair_lines(figures: Figures) -> list[str]:
    lines = [f"fitted: {', '.join(figures['fitted'])}", f"{figures['pair_count']} held-out pairs"]
    lines += [f"  area under curve, {name:16} {value}" for name, value in figures["area_under_curve"].items()]
    for name, item in figures["clauses"].items():
        if item["clause_count"]:
            lines.append(
                f"  {name:16} Brier {item['brier_score']:.4f}  calibration error "
                f"{item['expected_calibration_error']:.4f}  ({item['clause_count']} clauses)"
            )
    if figures["grounding"]:
        place = figures["grounding"]
        lines.append(
            f"  box overlap of 0.6 in {place['overlap_share']:.1%}, centre within 8 % in {place['centre_share']:.1%} "
            f"of {place['picture_count']}"
        )
    lines.append(f"  missing things: {figures['missing_nouns']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
