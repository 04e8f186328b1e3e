"""``python -m export.calibrate BUNDLE PAIRS.jsonl [--held-out OTHERS.jsonl] [--json FILE] [--plot FILE.svg]``."""

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
from export.calibrate.outcomes import fit_success, read_outcomes
from export.calibrate.pairs import PairFile, read_pairs
from export.calibrate.plot import reliability_plot
from export.errors import ExportError


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns 0, or 1 for a refused bundle or file."""
    options = _parser().parse_args(arguments)
    try:
        fitting = read_pairs(options.pairs)
        held_out = read_pairs(options.held_out) if options.held_out else None
        figures = calibrate_bundle(options.bundle, fitting, held_out, options.outcomes)
    except (ExportError, BundleInvalid) as error:
        sys.stderr.write(f"export.calibrate: {error}\n")
        return 1
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        curves = {name: item.get("reliability", []) for name, item in figures["clauses"].items()}
        options.plot.write_text(reliability_plot(curves, "Clauses of held-out pairs"), encoding="utf-8")
    sys.stdout.write(_table(figures))
    return 0


def calibrate_bundle(
    folder: Path, fitting: PairFile, held_out: PairFile | None = None, outcomes: Path | None = None
) -> Figures:
    """Fits a bundle's scorer and replaces its manifest. Returns the figures on the held-out pairs.

    Without ``held_out`` the pairs of half of the pictures are held out. Raises ``ExportError`` or ``BundleInvalid``.
    """
    manifest, _ = read_manifest(folder)
    scorer = PairScorer(folder, manifest)
    assert manifest.scorer is not None
    if held_out is None:
        fitting, held_out = fitting.split()
    spec, figures = calibrate(scorer, manifest.scorer, fitting, held_out)
    if outcomes is not None:
        spec = spec.with_changes(success=fit_success(read_outcomes(outcomes)))
    changed = manifest.with_changes(scorer=spec)
    write_text(folder / MANIFEST_NAME, changed.to_json(indent=1) + "\n")
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.calibrate", description="Fits a bundle's scorer on labelled pairs."
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("pairs", type=Path, help="labelled pairs as JSON lines, see docs/scoring.md")
    parser.add_argument(
        "--held-out", type=Path, help="pairs to measure on (default: the pairs of half of the pictures)"
    )
    parser.add_argument("--outcomes", type=Path, help="JSON lines of score and success, to fit the success probability")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--plot", type=Path, help="file for the reliability plot, SVG")
    return parser


def _table(figures: Figures) -> str:
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
