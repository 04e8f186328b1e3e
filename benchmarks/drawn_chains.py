"""`python -m benchmarks.drawn_chains --json FILE`: symptoms of drawn chains.

Draws chains of pocket's world, which have no seams at all, divides them into segments as the engine does, and counts
the symptoms of whole chains: false alarms in faultless chains, and how often drawn faults are found. Subject and frames
are compared by the scorer of the embedded bundle.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.analysis.diagnosis.chain_symptoms import chain_symptoms
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.likeness import SampledFeatures, sample_vectors
from engine.analysis.diagnosis.loop_back import chain_drift
from engine.analysis.diagnosis.seams import seam_of, segment_end
from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainDrift, Seam, SegmentEnd
from engine.api.diagnosis import SymptomKind
from engine.api.media import Box
from engine.bundle.folder import read_manifest
from engine.matching.scorer import Scorer
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from pocket.evaluation.drawn_chains import KINDS, Drawn, draw_chains
from pocket.settings import BUNDLE_FOLDER
from pocket.world import FRAMES_PER_SECOND, PICTURE_PX

_COVERED = 0.5
_SYMPTOMS = (SymptomKind.SEAM_JUMP, SymptomKind.COLOUR_SHIFT, SymptomKind.LOOP_BACK, SymptomKind.SUBJECT_DRIFT)


def main(options: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, measure, write the counts as JSON, and print the table of docs/diagnosis.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=60, help="chains of each kind and number of segments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args(options)
    measure = ChainMeasure(arguments.bundle)
    counts: dict[str, dict[str, int]] = {}
    for name, draw in KINDS.items():
        symptoms = [measure.symptoms(chain) for chain in draw_chains(draw, arguments.chains, arguments.seed)]
        found = {kind.value: sum(kind in item for item in symptoms) for kind in _SYMPTOMS}
        counts[name] = {"chains": len(symptoms), **found}
    figures = {"seed": arguments.seed, "thresholds": measure.spec.as_dict(), "counts": counts}
    arguments.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(counts))


def table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """A row for each kind of chains: how many of them have each symptom."""
    names = [kind.value for kind in _SYMPTOMS]
    lines = [f"| drawn chains | {' | '.join(f'`{name}`' for name in names)} |", "| --- |" + " --- |" * len(names)]
    for kind, found in counts.items():
        shares = [f"{100 * found[name] / found['chains']:.0f} %" for name in names]
        lines.append(f"| {kind} ({found['chains']}) | {' | '.join(shares)} |")
    return "\n".join(lines)


class ChainMeasure:
    """Measures chains with the scorer and the thresholds of a bundle."""

    def __init__(self, bundle: Path) -> None:
        manifest, _ = read_manifest(bundle)
        assert manifest.scorer is not None
        runtime = OrtRuntime(thread_count=1)
        graphs = {spec.stage: runtime.load(bundle, spec) for spec in manifest.graphs if spec.stage.startswith("scorer")}
        self.spec = manifest.scorer.diagnosis
        self._scorer = Scorer(bundle, manifest.scorer, (graphs["scorer_image"], graphs["scorer_text"]), runtime)
        self._execution = Execution(runtime, CancelFlag())

    def symptoms(self, chain: Drawn) -> list[SymptomKind]:
        """The symptoms of the whole chain."""
        seams, drift = self.measure(chain)
        return [item.kind for item in chain_symptoms(seams, drift, chain.prompts, self.spec)]

    def measure(self, chain: Drawn) -> tuple[dict[int, Seam], ChainDrift]:
        """The seams by the number of the segment that begins there, and the drift."""
        ends: list[SegmentEnd] = []
        seams, first = {}, 0
        for number, count in enumerate(chain.frame_counts, start=1):
            watch = ClipWatch(count, FRAMES_PER_SECOND)
            for frame in chain.frames[first : first + count]:
                watch.add(frame)
            if ends:
                seams[number] = seam_of(ends[-1], watch, first)
            patches = self._scorer.features(self._execution, list(watch.samples.values()))
            features = SampledFeatures(patches, PICTURE_PX, PICTURE_PX)
            subject = _box_of(chain.masks[max(first - 1, 0)])  # in the frame that the segment begins from
            vectors = sample_vectors(features, subject, [first + index for index in watch.samples])
            first += count
            ends.append(segment_end(watch, [chain.frames[first - 1]], vectors))
        return seams, chain_drift(ends)


def _box_of(mask: NDArray[np.float32]) -> Box:
    """The box around a subject, from the share [height, width] of each pixel that it covers."""
    rows, columns = (np.flatnonzero((mask > _COVERED).any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


if __name__ == "__main__":
    main()
