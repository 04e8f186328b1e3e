"""`python -m pocket.evaluate --clips N --seed S --json FILE [--sheet FILE]`.

Generates clips of held-out combinations and measures them against the drawn truth. Knows what is
asked for each clip; generation, tracking, judging and drawing lie in their own files.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocket.generation import Generate, load_generator
from pocket.judgement import is_light_followed, is_motion_followed, is_subject_kept, psnr_db
from pocket.settings import CHECKPOINT_FOLDER
from pocket.sheet import SheetRow, draw_sheet
from pocket.tracking import track_subject
from pocket.train.progress import track
from pocket.vae_fidelity import vae_clip_psnr_db
from pocket.world import (
    LANGUAGES,
    OPPOSITE_ACTION,
    SUBJECTS,
    ClipSpec,
    caption,
    render_clip,
    sample_spec,
)

_SEED_STRIDE = 1_000_003


@dataclass(frozen=True)
class Outcome:
    """One generated clip and what was found."""

    spec: ClipSpec
    language: str
    sentence: str
    frames: NDArray[np.uint8]
    first_frame_psnr_db: float
    motion_followed: bool
    light_followed: bool
    subject_kept: bool
    seconds: float


def main() -> None:
    """Parse the command line, measure, write figures and, if asked, the contact sheet."""
    parser = argparse.ArgumentParser(prog="python -m pocket.evaluate", description=__doc__)
    parser.add_argument("--clips", type=int, default=32, help="clips, half of them Chinese")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT_FOLDER)
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    generate = load_generator(arguments.checkpoint)
    settings = {"guidance": arguments.guidance, "steps": arguments.steps}
    outcomes: list[Outcome] = []
    pairs: list[tuple[Outcome, Outcome]] = []
    for index in track(range(arguments.clips), "clips", arguments.clips):
        language = LANGUAGES[index % len(LANGUAGES)]
        spec = sample_spec(arguments.seed * _SEED_STRIDE + index, held_out=True)
        seed = arguments.seed * _SEED_STRIDE + index
        first = run_clip(generate, spec, language, seed, **settings)
        outcomes.append(first)
        opposite = OPPOSITE_ACTION.get(spec.action)
        if opposite in SUBJECTS[spec.subject].actions:
            turned = replace(spec, action=opposite)
            second = run_clip(generate, turned, language, seed, **settings)
            pairs.append((first, second))
    figures = {
        "seed": arguments.seed,
        "guidance_scale": arguments.guidance,
        "step_count": arguments.steps,
        "vae_psnr_db": vae_clip_psnr_db(arguments.checkpoint, [outcome.spec for outcome in outcomes]),
        "all": summarise(outcomes, pairs),
        **{
            language: summarise(
                [o for o in outcomes if o.language == language],
                [p for p in pairs if p[0].language == language],
            )
            for language in LANGUAGES
        },
        "clips": [describe(outcome) for outcome in outcomes],
        "opposite_clips": [describe(second) for _, second in pairs],
    }
    arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    if arguments.sheet:
        rows = [SheetRow(o.spec, o.sentence, o.frames, o.motion_followed) for o in outcomes]
        draw_sheet(rows, arguments.sheet)


def run_clip(generate: Generate, spec: ClipSpec, language: str, seed: int, *, guidance: float, steps: int) -> Outcome:
    """Generate one clip from its first picture and its sentence, and judge it."""
    drawn = render_clip(spec)
    sentence = caption(spec, language, seed)
    started = time.perf_counter()
    frames = generate(drawn.frames[0], sentence, seed, guidance, steps)
    seconds = time.perf_counter() - started
    made_track = track_subject(frames, spec)
    drawn_track = track_subject(drawn.frames, spec)
    return Outcome(
        spec=spec,
        language=language,
        sentence=sentence,
        frames=frames,
        first_frame_psnr_db=psnr_db(frames[0], drawn.frames[0]),
        motion_followed=is_motion_followed(made_track, drawn_track, spec.action),
        light_followed=is_light_followed(made_track, drawn_track, spec.light),
        subject_kept=is_subject_kept(frames[-1], made_track, drawn.frames[-1], drawn_track),
        seconds=seconds,
    )


def summarise(outcomes: list[Outcome], pairs: list[tuple[Outcome, Outcome]]) -> dict[str, float | int | None]:
    """Turn outcomes into shares and means; None where nothing was measured."""
    return {
        "clip_count": len(outcomes),
        "first_frame_psnr_db": _mean([o.first_frame_psnr_db for o in outcomes]),
        "motion_followed": _mean([o.motion_followed for o in outcomes]),
        "light_followed": _mean([o.light_followed for o in outcomes]),
        "subject_kept": _mean([o.subject_kept for o in outcomes]),
        "pair_count": len(pairs),
        "opposite_pairs_followed": _mean([a.motion_followed and b.motion_followed for a, b in pairs]),
        "seconds_per_clip": _mean([o.seconds for o in outcomes]),
    }


def describe(outcome: Outcome) -> dict[str, str | float | bool]:
    """Flatten one outcome for the JSON file."""
    return {
        "combination": "/".join(outcome.spec.combination),
        "light": outcome.spec.light,
        "sentence": outcome.sentence,
        "first_frame_psnr_db": round(outcome.first_frame_psnr_db, 2),
        "motion_followed": outcome.motion_followed,
        "light_followed": outcome.light_followed,
        "subject_kept": outcome.subject_kept,
    }


def _mean(values: list[float] | list[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


if __name__ == "__main__":
    main()
