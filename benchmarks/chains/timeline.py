"""How far the subject is on its way soon after the first seam, by method, from the folder of ``benchmarks.chains``.

    python -m benchmarks.chains.timeline --json FILE --out FOLDER [--methods drawn by_hand put_back_2] [--segments 3]
                                         [--count 60]

``METHOD_N_early_way`` is the median, over stories whose second stage moves the subject left, right, up or down, of the
way after ``_NEW_FRAME_COUNT`` new frames as a share of the way at the end of the segment. FILE keeps its other figures.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chains.__main__ import figures_in
from benchmarks.chains.cases import Case, case_of
from benchmarks.chains.kept_chains import KeptChains
from benchmarks.chains.made_chain import MadeChain
from benchmarks.chains.methods import BASELINE, METHODS, TRUTH
from benchmarks.report import Report
from engine.bundle.folder import open_manifest
from pocket.evaluation.tracking import track_subject
from pocket.settings import BUNDLE_FOLDER

_NEW_FRAME_COUNT = 4
_LEAST_WAY = 0.05  # of the picture's side; shorter ways are no motion
_AXES = {"moves_left": "centre_x", "moves_right": "centre_x", "rises": "centre_y", "sinks": "centre_y"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures kept chains, prints the figures and adds them to the file."""
    options = _options(arguments)
    kept = KeptChains(options.out, open_manifest(options.bundle)[1])
    figures: dict[str, float] = {}
    for method in options.methods:
        group = f"{method}_{options.segments}"
        ways = []
        for index in range(options.count):
            chain, case = kept.find(group, index), case_of(index, options.segments)
            if chain is None:
                raise SystemExit(f"{options.out} lacks chain {index} of {group}; run python -m benchmarks.chains first")
            ways.append(_early_way(chain, case))
        measured = [way for way in ways if way is not None]
        figures |= {f"{group}_early_way": statistics.median(measured), f"{group}_early_way_chain_count": len(measured)}
    Report("chains", figures).show()
    Report("chains", {**figures_in(options.json), **figures}).write(options.json)


def _early_way(chain: MadeChain, case: Case) -> float | None:
    """Share of the second segment's way after the first new frames; None if its subject does not move along an axis."""
    spec = case.stages[1].spec
    if spec.action not in _AXES:
        return None
    start = chain.starts[1]
    end = start + len(chain.parts[1]) - 1
    shown = chain.frames[[start - 1, start - 1 + _NEW_FRAME_COUNT, end]]
    begin, early, late = getattr(track_subject(shown, spec), _AXES[spec.action])
    return float((early - begin) / (late - begin)) if abs(late - begin) >= _LEAST_WAY else None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chains.timeline")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps finished chains")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[TRUTH, BASELINE, "put_back_2"])
    parser.add_argument("--segments", type=int, default=3, help="number of segments")
    parser.add_argument("--count", type=int, default=60, help="chains of each method")
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="pocket's bundle")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
