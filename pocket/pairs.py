"""`python -m pocket.pairs FOLDER`: writes labelled picture-sentence pairs to calibrate a match scorer and to test it.

Writes pictures (PNG) and two files for `python -m export.calibrate`: `fitting.jsonl` and `held_out.jsonl`. All pairs
show combinations that training never saw; no combination is in both files.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pocket.evaluation.mismatch import Mismatch, mismatched
from pocket.world import LANGUAGES, PICTURE_PX, ClipSpec, caption, list_combinations, render_still, sample_spec
from pocket.world.spec import Combination

HALVES = ("fitting", "held_out")
_KINDS: dict[Mismatch, str] = {
    Mismatch.SUBJECT: "subject",
    Mismatch.COLOUR: "colour",
    Mismatch.SCENE: "environment",
    Mismatch.ACTION: "action",
}
_MASKED = 0.5  # a pixel belongs to the subject if the subject covers at least this share of it


def half_of(combination: Combination) -> str:
    """Return the half that a held-out combination belongs to, by a stable hash."""
    digest = hashlib.sha256(("pairs/" + "/".join(combination)).encode()).digest()
    return HALVES[digest[0] % len(HALVES)]


def write_pairs(folder: Path, half: str, picture_count: int, seed: int = 0) -> Path:
    """Write one half and return its .jsonl file.

    Each picture gets, in English and in Chinese, one matching sentence and one for each kind of mismatch. Matching
    rows also carry the subject's true box and centre, as fractions of the picture.
    """
    (folder / half).mkdir(parents=True, exist_ok=True)
    path = folder / f"{half}.jsonl"
    lines = []
    for index, spec in enumerate(_specs(half, picture_count, seed)):
        picture, mask = render_still(spec)
        name = f"{half}/{index:04d}.png"
        Image.fromarray(picture).save(folder / name)
        truth = _truth(mask)
        for language in LANGUAGES:
            for kind, told in _told(spec, seed + index):
                lines.append({
                    "image": name,
                    "prompt": caption(told, language, seed + index, always_complete=True),
                    "language": language,
                    "mismatch": kind,
                    **(truth if kind is None else {}),
                })  # fmt: skip
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def _specs(half: str, count: int, seed: int) -> Iterator[ClipSpec]:
    """Yield `count` specs of this half, spread evenly over its combinations."""
    chosen = [combination for combination in list_combinations(held_out=True) if half_of(combination) == half]
    wanted = {combination: count // len(chosen) + (position < count % len(chosen)) for position, combination in
              enumerate(chosen)}  # fmt: skip
    attempt = seed * 1_000_003
    while any(wanted.values()):
        spec = sample_spec(attempt, held_out=True)
        attempt += 1
        if wanted.get(spec.combination, 0):
            wanted[spec.combination] -= 1
            yield spec


def _told(spec: ClipSpec, seed: int) -> Iterator[tuple[str | None, ClipSpec]]:
    """Yield (mismatch, spec of the sentence): first (None, the matching one), then each kind that is possible."""
    yield None, spec
    for kind, name in _KINDS.items():
        told = mismatched(spec, kind, seed)
        if told is not None:
            yield name, told


def _truth(mask: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> dict[str, Sequence[float]]:
    """Return box [left, top, right, bottom] and centre of mass [x, y] of a mask, as fractions of the picture."""
    rows, columns = np.nonzero(mask >= _MASKED)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return {
        "box": [round(float(edge) / PICTURE_PX, 4) for edge in box],
        "centre": [round(float(values.mean() + 0.5) / PICTURE_PX, 4) for values in (columns, rows)],
    }


def main() -> None:
    """Write both halves."""
    parser = argparse.ArgumentParser(prog="python -m pocket.pairs", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=300, help="pictures in each half")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for half in HALVES:
        write_pairs(arguments.folder, half, arguments.pictures, arguments.seed)


if __name__ == "__main__":
    main()
