"""Chains by several methods, judged against the drawn stories.

    python -m benchmarks.chains --json FILE --out FOLDER [--methods by_hand put_back_2] [--segments 2 3] [--count 60]
                                [--light last] [--bundle pocket/model] [--threads 1]

FOLDER keeps every finished chain: the same command goes on after an interruption. FILE keeps the figures of other
methods, numbers of segments and stories that an earlier run wrote there.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.chains.cases import LightStage, case_of
from benchmarks.chains.figures import Judged, difference_figures, seam_figures, share_figures
from benchmarks.chains.judge import judge_chain
from benchmarks.chains.kept_chains import KeptChains
from benchmarks.chains.methods import BASELINE, METHODS, TRUTH, Workshop
from benchmarks.chains.seams import seams_of
from benchmarks.report import Report
from pocket.settings import BUNDLE_FOLDER


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the chains that the folder lacks, judges all, and writes the figures after each method."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    workshop = Workshop(options.bundle, options.threads)
    kept = KeptChains(options.out, workshop.bundle_digest)
    try:
        for segment_count in options.segments:
            _measure(workshop, kept, segment_count, options)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on with the chains that are missing") from None


def group_name(method: str, segment_count: int, light_stage: LightStage) -> str:
    """The prefix of the figures of one method, number of segments and kind of story."""
    kind = "" if light_stage is LightStage.LAST else "_light_in_any_stage"
    return f"{method}_{segment_count}{kind}"


def _measure(workshop: Workshop, kept: KeptChains, segment_count: int, options: argparse.Namespace) -> None:
    baseline: Sequence[Judged] | None = None
    for method in sorted(options.methods, key=lambda name: name != BASELINE):
        group = group_name(method, segment_count, options.light)
        chains = _judged(workshop, kept, method, segment_count, options)
        figures = dict(share_figures(chains)) | dict(seam_figures(chains))
        if method == BASELINE:
            baseline = chains
        elif baseline is not None and method != TRUTH:
            figures |= dict(difference_figures(chains, baseline))
        named = {f"{group}_chain_count": float(len(chains)), **{f"{group}_{key}": figures[key] for key in figures}}
        Report("chains", named).show()
        Report("chains", {**figures_in(options.json), **named}).write(options.json)


def _judged(
    workshop: Workshop, kept: KeptChains, method: str, segment_count: int, options: argparse.Namespace
) -> list[Judged]:
    group = group_name(method, segment_count, options.light)
    make, judged = workshop.maker(method), []
    for index in range(options.count):
        case = case_of(index, segment_count, options.light)
        chain = kept.find(group, index)
        if chain is None:
            chain = make(case)
            kept.keep(group, index, chain)
        judged.append(Judged(judge_chain(chain, case), seams_of(chain, workshop.frame_rate)))
        right = sum(item.verdict.is_right for item in judged)
        print(f"{group}: chain {index + 1} of {options.count}, {right} right", flush=True)
    return judged


def figures_in(file: Path) -> Mapping[str, float]:
    """The figures that an earlier run wrote; none without the file."""
    figures: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))["figures"] if file.exists() else {}
    return figures


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chains")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps finished chains")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[TRUTH, BASELINE, "put_back_2"])
    parser.add_argument("--segments", nargs="+", type=int, default=[2, 3], help="numbers of segments")
    parser.add_argument("--count", type=int, default=60, help="chains of each number of segments")
    parser.add_argument("--light", type=LightStage, default=LightStage.LAST, help="stage whose light may change")
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="pocket's bundle")
    parser.add_argument("--threads", type=int, default=1, help="of one graph call; 0: one for each core")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
