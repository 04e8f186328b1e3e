"""Outcomes of clips of two recipes: the figures of pocket's evaluation, added to those of ``benchmarks.precision``.

    python -m benchmarks.precision.outcomes --json FILE --kept FOLDER [--markdown docs/precision.md] [--clips 64]

``FILE`` and ``FOLDER`` are those of ``python -m benchmarks.precision --json FILE --keep FOLDER``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.precision.table import markdown
from pocket.evaluation.clips import Asked, run_clip
from pocket.evaluation.figures import summarise
from pocket.evaluation.generation import Generator
from pocket.train.progress import track
from pocket.world import LANGUAGES, sample_spec

_RECIPES = ("fp8", "fp8_attention")
_SEED = 9_000_000
_FIGURES = ("clip_count", "motion_followed", "light_followed", "subject_kept", "subject_psnr_db", "match_score")


def main() -> None:
    """Generates the same clips with both recipes and adds what was followed and kept to the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision.outcomes")
    parser.add_argument("--json", type=Path, required=True, help="file of benchmarks.precision")
    parser.add_argument("--kept", type=Path, required=True, help="folder of benchmarks.precision --keep")
    parser.add_argument("--markdown", type=Path, help="file for the page")
    parser.add_argument("--clips", type=int, default=64)
    options = parser.parse_args()
    content = json.loads(options.json.read_text(encoding="utf-8"))
    content["outcomes"] = [_outcomes(options.kept / recipe, options.clips) for recipe in _RECIPES]
    for row in content["outcomes"]:
        print(row)
    options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(markdown(content), encoding="utf-8")


def _outcomes(bundle: Path, clip_count: int) -> dict[str, Any]:
    generator = Generator(bundle)
    asked = [
        Asked(_SEED + index, sample_spec(_SEED + index, held_out=True), LANGUAGES[index % len(LANGUAGES)])
        for index in range(clip_count)
    ]
    clips = track(asked, bundle.name, len(asked))
    figures = summarise([run_clip(generator, clip, generator.sampling) for clip in clips])
    return {"name": bundle.name, **{name: figures[name] for name in _FIGURES}}


if __name__ == "__main__":
    main()
