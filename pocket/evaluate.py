"""`python -m pocket.evaluate --clips N --seed S --json FILE [--sheet FILE]`.

Generates clips of held-out combinations with the exported bundle and compares each with the clip that the synthetic
world draws for the same spec: matching pairs, the same pictures with the opposite action, a sweep over guidance
scales, and mismatched pairs. This file chooses the clips; `pocket.evaluation` generates, tracks, judges and draws.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pocket.evaluation.clips import Asked, Outcome, run_clip
from pocket.evaluation.figures import Figures, summarise
from pocket.evaluation.generation import Generator, Sampling
from pocket.evaluation.mismatch import Mismatch, mismatched
from pocket.evaluation.sheet import draw_sheet
from pocket.evaluation.vae_fidelity import vae_fidelity
from pocket.settings import BUNDLE_FOLDER, CHECKPOINT_NAME
from pocket.train.progress import track
from pocket.world import LANGUAGES, OPPOSITE_ACTION, SUBJECTS, sample_spec

_SEED_STRIDE = 1_000_003
_CURVE_SCALES = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)


def main(options: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, write the figures as JSON and, with `--sheet`, the contact sheet."""
    arguments = _parser().parse_args(options)
    generator = Generator(arguments.bundle)
    sampling = Sampling(
        arguments.steps or generator.sampling.step_count,
        arguments.guidance or generator.sampling.guidance_scale,
    )
    asked = [_ask(arguments.seed * _SEED_STRIDE + index, index) for index in range(arguments.clips)]
    outcomes = [run_clip(generator, clip, sampling) for clip in track(asked, "matched pairs", len(asked))]
    pairs = list(_opposite_pairs(generator, asked, outcomes, sampling))
    figures: dict[str, Any] = {
        "seed": arguments.seed,
        **asdict(sampling),
        **vae_fidelity(arguments.bundle / CHECKPOINT_NAME, [outcome.spec for outcome in outcomes]),
        "all": summarise(outcomes, pairs),
        **{
            language: summarise(
                [o for o in outcomes if o.language == language],
                [p for p in pairs if p[0].language == language],
            )
            for language in LANGUAGES
        },
        "guidance": _guidance_curve(generator, asked[: arguments.curve], sampling),
        "mismatched": _mismatched(generator, asked[: arguments.mismatched], sampling),
        "clips": [outcome.figures() for outcome in outcomes],
        "opposite_clips": [second.figures() for _, second in pairs],
    }
    arguments.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.sheet:
        draw_sheet(outcomes[: arguments.sheet_rows], arguments.sheet)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pocket.evaluate", description=__doc__)
    parser.add_argument("--clips", type=int, default=32, help="matched pairs, half of them Chinese")
    parser.add_argument("--curve", type=int, default=0, metavar="N", help="how many to repeat at each guidance scale")
    parser.add_argument("--mismatched", type=int, default=0, metavar="N", help="how many to repeat mismatched")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--sheet-rows", type=int, default=12, help="clips on the sheet, the first ones, unselected")
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER)
    parser.add_argument("--guidance", type=float, help="default: the bundle's")
    parser.add_argument("--steps", type=int, help="default: the bundle's")
    return parser


def _ask(seed: int, index: int) -> Asked:
    return Asked(seed, sample_spec(seed, held_out=True), LANGUAGES[index % len(LANGUAGES)])


def _opposite_pairs(
    generator: Generator, asked: Sequence[Asked], outcomes: Sequence[Outcome], sampling: Sampling
) -> Iterator[tuple[Outcome, Outcome]]:
    """Generate the same picture and seed with the opposite action, where the subject can do both."""
    for clip, first in track(zip(asked, outcomes, strict=True), "opposite words", len(asked)):
        opposite = OPPOSITE_ACTION.get(clip.spec.action)
        if opposite in SUBJECTS[clip.spec.subject].actions:
            turned = replace(clip, spec=replace(clip.spec, action=opposite))
            yield first, run_clip(generator, turned, sampling)


def _guidance_curve(generator: Generator, asked: Sequence[Asked], sampling: Sampling) -> dict[str, Figures]:
    curve = {}
    for scale in _CURVE_SCALES if asked else ():
        at_scale = replace(sampling, guidance_scale=scale)
        clips = track(asked, f"guidance {scale:g}", len(asked))
        curve[f"{scale:g}"] = summarise([run_clip(generator, clip, at_scale) for clip in clips])
    return curve


def _mismatched(generator: Generator, asked: Sequence[Asked], sampling: Sampling) -> dict[str, Figures]:
    by_kind = {}
    for kind in Mismatch if asked else ():
        told = [replace(clip, told=mismatched(clip.spec, kind, clip.seed)) for clip in asked]
        clips = [clip for clip in told if clip.told is not None]
        outcomes = [run_clip(generator, clip, sampling) for clip in track(clips, kind.value, len(clips))]
        by_kind[kind.value] = summarise(outcomes)
    return by_kind


if __name__ == "__main__":
    main()
