"""`python -m pocket.card`: rewrites the table of figures in the model card from `evaluation.json`.

Only the text between the two marker comments changes.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pocket.settings import BUNDLE_FOLDER

CARD = BUNDLE_FOLDER / "README.md"
EVALUATION = BUNDLE_FOLDER / "evaluation.json"
_BEGIN, _END = "<!-- figures: python -m pocket.card -->\n", "<!-- end of figures -->"
_GROUPS = ("all", "en", "zh")
_LIKENESSES = (
    ("first_frame_psnr_db", "first frame against the picture", "28 dB"),
    ("subject_psnr_db", "the subject in all frames against the drawn clip", ""),
)
_WANTED: tuple[tuple[str, str, str], ...] = (
    ("motion_followed", "asked motion happens", "90 %"),
    ("opposite_pairs_followed", "opposite word, opposite motion", "95 %"),
    ("light_followed", "light right", "90 %"),
    ("subject_kept", "subject kept to the last frame", "95 %"),
)


def main() -> int:
    """Rewrite the card; return 0."""
    CARD.write_text(with_figures(CARD.read_text(encoding="utf-8"), EVALUATION), encoding="utf-8")
    return 0


def with_figures(card: str, evaluation: Path) -> str:
    """Return the card's text with new figures between its markers. Raises ValueError if a marker is missing."""
    before, begin, rest = card.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the model card needs the lines {_BEGIN.strip()} and {_END}")
    figures = json.loads(evaluation.read_text(encoding="utf-8"))
    return before + begin + "\n".join(_lines(figures)) + "\n" + end + after


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    everything = figures["all"]
    yield f"{everything['clip_count']} clips, {figures['step_count']} steps, guidance {figures['guidance_scale']:g}."
    yield "\n| what | all (95 % interval) | en | zh | wanted |\n|---|---|---|---|---|"
    yield f"| VAE on the drawn clips | {figures['vae_psnr_db']:.1f} dB | | | 30 dB |"
    yield f"| VAE on the drawn clips, the subject alone | {figures['vae_subject_psnr_db']:.1f} dB | | | |"
    for key, name, wanted in _LIKENESSES:
        values = [_decibels(figures[group], key) for group in _GROUPS]
        yield f"| {name} | {' | '.join(values)} | {wanted} |"
    for key, name, wanted in _WANTED:
        shares = [_share(figures[group], key) for group in _GROUPS]
        low, high = everything[f"{key}_interval"]
        yield f"| {name} | {shares[0]} ({100 * low:.0f} to {100 * high:.0f}) | {shares[1]} | {shares[2]} | {wanted} |"
    yield f"| seconds a clip | {everything['seconds']:.1f} | | | 10 |"
    if figures["guidance"]:
        yield "\nThe same pictures, sentences and seeds at other guidance scales:\n"
        yield "| guidance | clips | motion | light | subject kept | subject in all frames | first frame |"
        yield "|---|---|---|---|---|---|---|"
        for scale, at in figures["guidance"].items():
            shares = [_share(at, key) for key in ("motion_followed", "light_followed", "subject_kept")]
            likenesses = [_decibels(at, key) for key in ("subject_psnr_db", "first_frame_psnr_db")]
            yield f"| {scale} | {at['clip_count']} | {' | '.join(shares + likenesses)} |"
    if figures["mismatched"]:
        yield "\nThe same pictures with a sentence that does not match them:\n"
        yield (
            "| the sentence tells | clips | its motion happens | pictured subject still there "
            "| turned into what is told | scene beside the subject | match score |\n|---|---|---|---|---|---|---|"
        )
        for name, group in {"what is there": everything, **figures["mismatched"]}.items():
            keys = ("motion_followed", "pictured_subject_found", "told_subject_found")
            told = " | ".join(_share(group, key) for key in keys)
            scene, score = group["scene_psnr_db"], group["match_score"]
            yield f"| {name} | {group['clip_count']} | {told} | {scene:.1f} dB | {score:.0f} |"


def _decibels(group: Mapping[str, Any], key: str) -> str:
    return f"{group[key]:.1f} dB"


def _share(group: Mapping[str, Any], key: str) -> str:
    value = group.get(key)
    return "" if value is None else f"{100 * value:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
