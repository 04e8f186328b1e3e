"""How often the diagnosis finds symptoms in good clips and in clips that were requested wrongly, on the pocket model.

    python -m benchmarks.diagnosis --json FILE [--count 12] [--bundle pocket/model]

Every arm uses the same held-out pictures: with the matching sentence, with another subject, another scene, an action
that the subject cannot do, and with the matching sentence at guidance 10. Reports for each arm the share of clips with
symptoms, the share with the right first remedy, and the figures that the diagnosis compares with its thresholds.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from PIL import Image as Pillow

from benchmarks.report import Report
from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.diagnosis import Diagnosis, RemedyKind
from engine.api.engine import Engine
from engine.api.events import JobDone
from engine.api.job import Job, SamplingSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from pocket.evaluation.mismatch import Mismatch, mismatched
from pocket.world import caption, render_picture, sample_spec

_FIRST_SEED = 1000
_HIGH_GUIDANCE = 10.0
_ARMS: dict[str, Mismatch | None] = {
    "matched": None,
    "guidance_10": None,
    "other_subject": Mismatch.SUBJECT,
    "other_scene": Mismatch.SCENE,
    "other_action": Mismatch.ACTION,
}
_RIGHT_REMEDY = {"guidance_10": RemedyKind.GUIDANCE}  # RemedyKind.MATCH for all other arms


@dataclass(frozen=True)
class Take:
    """One clip: its diagnosis, and the match score of its first frame minus that of its last."""

    diagnosis: Diagnosis
    lost_score: float


def takes(engine: Engine, arm: str, count: int) -> Iterator[Take]:
    """Yields the clips of one arm; skips pictures for which the world has no mismatch of that kind."""
    for seed in range(_FIRST_SEED, _FIRST_SEED + count):
        spec = sample_spec(seed, held_out=True)
        kind = _ARMS[arm]
        said = spec if kind is None else mismatched(spec, kind, seed)
        if said is None:
            continue
        buffer = io.BytesIO()
        Pillow.fromarray(render_picture(spec)).save(buffer, "PNG")
        sampling = SamplingSpec(seed=seed, guidance_scale=_HIGH_GUIDANCE if arm == "guidance_10" else None)
        job = engine.prepare(Job(Image(buffer.getvalue()), caption(said, "en", seed), sampling=sampling))
        done = [event for event in engine.generate(job, CancelFlag()) if isinstance(event, JobDone)][-1]
        assert done.diagnosis is not None
        yield Take(done.diagnosis, done.frame_matches[0].score - done.frame_matches[-1].score)


def figures_of(arm: str, made: Sequence[Take]) -> Iterator[tuple[str, float]]:
    """Yields the figures of one arm as (name, value)."""
    noticed = [take.diagnosis for take in made if take.diagnosis.symptoms]
    right = _RIGHT_REMEDY.get(arm, RemedyKind.MATCH)
    likeness = [take.diagnosis.metrics.likeness for take in made]
    yield f"{arm}_clip_count", len(made)
    yield f"{arm}_noticed_share", len(noticed) / len(made)
    if arm != "matched":
        yield f"{arm}_right_remedy_share", fmean(item.remedies[0].kind is right for item in noticed) if noticed else 0.0
    drifts = sorted(item.subject_drift for item in likeness if item is not None)
    yield f"{arm}_subject_drift_median", median(drifts)
    yield f"{arm}_subject_drift_largest", drifts[-1]
    yield f"{arm}_dynamic_degree_median", median(take.diagnosis.metrics.dynamic_degree for take in made)
    yield f"{arm}_burnt_gain_median", median(take.diagnosis.metrics.burnt_gain for take in made)
    yield f"{arm}_lost_score_largest", max(take.lost_score for take in made)


def main(arguments: Sequence[str] | None = None) -> None:
    """Generates the clips, prints the figures and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=12, help="clips of each arm")
    parser.add_argument("--bundle", type=Path, default=Path("pocket/model"))
    options = parser.parse_args(arguments)
    engine = open_engine(options.bundle, EngineSettings(thread_count=1))
    figures: dict[str, float] = {}
    for arm in _ARMS:
        figures |= dict(figures_of(arm, list(takes(engine, arm, options.count))))
    report = Report("diagnosis", figures)
    report.show()
    report.write(options.json)


if __name__ == "__main__":
    main()
