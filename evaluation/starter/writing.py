"""Writes the folder of the starter set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from evaluation.starter.drawing import draw_picture, place_silhouette
from evaluation.starter.lists import StarterPicture, starter_pictures
from evaluation.starter.pairs import PICTURE_FOLDER, Pair, article_pairs, starter_pairs
from evaluation.starter.photographs import PHOTOGRAPHS, open_photograph
from evaluation.starter.readme import readme
from export.atomic_file import replacing, write_text

_PLANS = Path(__file__).parent / "plans"


def write_starter_set(folder: Path, clip_count: int, tell: Callable[[int, int], None]) -> None:
    """Write pictures, pairs, plans of ``clip_count`` clips an arm and the README over those of an earlier call.

    ``tell`` is called with (pictures written, pictures in all). Raises ``PhotographMissing`` or ``OSError``.
    """
    pictures = starter_pictures()
    (folder / PICTURE_FOLDER).mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, start=1):
        with replacing(folder / PICTURE_FOLDER / picture.file_name) as partial:
            _paint(picture).save(partial, format="PNG")
        tell(number, len(pictures))
    _write_pairs(folder / "pairs.jsonl", starter_pairs())
    _write_pairs(folder / "article.jsonl", article_pairs())
    for plan in sorted(_PLANS.glob("*.toml")):
        text = plan.read_text(encoding="utf-8")
        write_text(folder / plan.name, re.sub(r"(?m)^count = 36$", f"count = {clip_count}", text))
    write_text(folder / "README.md", readme())


def _paint(picture: StarterPicture) -> Image.Image:
    if picture.photograph is None:
        return draw_picture(picture.kind, picture.scene, picture.colour, tall=picture.tall)
    photograph = PHOTOGRAPHS[picture.photograph]
    image = open_photograph(photograph)
    return place_silhouette(image, picture.kind, picture.scene) if photograph.is_silhouette else image


def _write_pairs(file: Path, pairs: Iterable[Pair]) -> None:
    write_text(file, "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs))
