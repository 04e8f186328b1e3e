"""`python -m benchmarks.drawn_chains --chains N --seed S`: symptoms of drawn chains.

Draws chains of pocket's world, which have no seams at all, divides them into segments as the engine does, and counts
the symptoms of whole chains: false alarms in faultless chains, and how often drawn faults are found. Subject and frames
are compared by the scorer of the embedded bundle.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from engine.analysis.diagnosis.chain_symptoms import chain_symptoms
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.likeness import SampledFeatures, sample_vectors
from engine.analysis.diagnosis.loop_back import chain_drift
from engine.analysis.diagnosis.seams import seam_of, segment_end
from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainDrift, Seam, SegmentEnd
from engine.api.diagnosis import SymptomKind
from engine.bundle.folder import read_manifest
from engine.matching.scorer import Scorer
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from pocket.evaluation.drawn_chains import KINDS, Drawn, draw_chains
from pocket.settings import BUNDLE_FOLDER
from pocket.world import FRAMES_PER_SECOND, PICTURE_PX

_SYMPTOMS = (SymptomKind.SEAM_JUMP, SymptomKind.COLOUR_SHIFT, SymptomKind.LOOP_BACK, SymptomKind.SUBJECT_DRIFT)


def main(options: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=60, help="chains of each kind and length")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER)
    arguments = parser.parse_args(options)
    measure = ChainMeasure(arguments.bundle)
    print(f"| chains | number | {' | '.join(f'`{kind.value}`' for kind in _SYMPTOMS)} |")
    print("|---|---|" + "---|" * len(_SYMPTOMS))
    for name, draw in KINDS.items():
        found: Counter[SymptomKind] = Counter()
        drawn = list(draw_chains(draw, arguments.chains, arguments.seed))
        for chain in drawn:
            found.update(measure.symptoms(chain))
        shares = [f"{100 * found[kind] / len(drawn):.1f} %" for kind in _SYMPTOMS]
        print(f"| {name} | {len(drawn)} | {' | '.join(shares)} |", flush=True)


class ChainMeasure:
    """Measures chains with the scorer and the thresholds of a bundle."""

    def __init__(self, bundle: Path) -> None:
        manifest, _ = read_manifest(bundle)
        assert manifest.scorer is not None
        runtime = OrtRuntime(thread_count=1)
        graphs = {spec.stage: runtime.load(bundle, spec) for spec in manifest.graphs if spec.stage.startswith("scorer")}
        self._spec = manifest.scorer.diagnosis
        self._scorer = Scorer(bundle, manifest.scorer, (graphs["scorer_image"], graphs["scorer_text"]), runtime)
        self._execution = Execution(runtime, CancelFlag())

    def symptoms(self, chain: Drawn) -> list[SymptomKind]:
        """The symptoms of the whole chain."""
        seams, drift = self.measure(chain)
        return [item.kind for item in chain_symptoms(seams, drift, chain.prompts, self._spec)]

    def measure(self, chain: Drawn) -> tuple[dict[int, Seam], ChainDrift]:
        """The seams by the number of the segment that begins there, and the drift; the subject's box is the frame."""
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
            vectors = sample_vectors(features, None, [first + index for index in watch.samples])
            first += count
            ends.append(segment_end(watch, [chain.frames[first - 1]], vectors))
        return seams, chain_drift(ends)


if __name__ == "__main__":
    main()
