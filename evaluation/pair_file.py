"""The cases of a plan over a file of pairs: pictures and sentences of any kind, with no drawn truth.

One JSON object a line: ``image`` (path beside the file), ``prompt``, ``arm`` (what the sentence is: "matched",
"wrong_subject", ...), ``language`` ("en" or "zh"), ``subject`` (what the picture shows; pairs of one subject stay on
one side of a held-out split).
"""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path
from typing import Literal

from PIL import Image as Pillow
from pydantic import BaseModel, ConfigDict, ValidationError

from evaluation.case import Case, MadeClip
from evaluation.errors import EvaluationError
from evaluation.plan.model import MATCHED, Arm, PictureChange, Plan, SentenceKind
from evaluation.record import Truth
from export.errors import ExportError
from export.pictures import read_picture

_WIDE_SHARE = 2.0 / 3.0
_CHANGEABLE = frozenset({"jpeg_quality", "stretched", "cropped"})


class Pair(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str
    prompt: str
    arm: SentenceKind
    language: Literal["en", "zh"]
    subject: str


class PairFileSource:
    """Makes the cases of every arm from the pairs of its kind, in the order of the file. Raises ``EvaluationError``."""

    def __init__(self, plan: Plan, plan_folder: Path) -> None:
        assert plan.pairs is not None
        self._plan = plan
        self._path = plan_folder / plan.pairs
        self._pairs = _by_kind(read_pairs(self._path))
        for arm in plan.all_arms():
            self._check(arm)

    def count_of(self, arm: Arm) -> int:
        """See ``CaseSource``: the pairs that the file has, at most as many as the plan asks for."""
        wanted = arm.count or self._plan.count
        return min(wanted, len(self._pairs[arm.sentence])) * arm.seeds

    def case_of(self, arm: Arm, index: int) -> Case:
        """See ``CaseSource``."""
        base = self._plan.base_of(arm)
        number = index // base.seeds
        pair = self._pairs[base.sentence][number]
        if arm.sentence != base.sentence:
            pair = self._matching(pair)
        return Case(
            pair=pair.subject,
            language=pair.language,
            seed=self._plan.clip_seed(arm, number, index),
            prompt=pair.prompt,
            picture=self._picture(pair, arm.picture),
            sampling=arm.sampling,
        )

    def truth_of(self, arm: Arm, index: int, clip: MadeClip) -> Truth | None:  # noqa: ARG002
        """See ``CaseSource``: nobody knows what the clip of a photograph should look like."""
        return None

    def _check(self, arm: Arm) -> None:
        changed = set(arm.picture.model_dump(exclude_defaults=True)) - _CHANGEABLE
        if changed:
            raise EvaluationError(
                f"arm {arm.id}: picture.{min(changed)} can only be drawn, not put into a photograph; use "
                f"{', '.join(sorted(_CHANGEABLE))}, or pairs whose pictures have that fault"
            )
        if not self._pairs[arm.sentence]:
            raise EvaluationError(f"{self._path} has no pair of the kind {arm.sentence!r}, which arm {arm.id} needs")
        if arm.remedy == "picture" and self._plan.base_of(arm).picture == PictureChange():
            raise EvaluationError(f"arm {arm.id}: the plan changes nothing of the picture, so there is no better one")

    def _matching(self, pair: Pair) -> Pair:
        """The matching pair of the same picture, in the same language if there is one."""
        found = [item for item in self._pairs[MATCHED] if item.image == pair.image]
        if not found:
            raise EvaluationError(f"{self._path}: {pair.image} has no matched sentence, which its remedy needs")
        return min(found, key=lambda item: item.language != pair.language)

    def _picture(self, pair: Pair, change: PictureChange) -> bytes:
        path = self._path.parent / pair.image
        try:
            picture = read_picture(path)
        except ExportError as error:
            raise EvaluationError(str(error)) from error
        if change == PictureChange():
            return path.read_bytes()
        return _encoded(_reshaped(picture, change), change.jpeg_quality)


def _reshaped(picture: Pillow.Image, change: PictureChange) -> Pillow.Image:
    """Cuts a part of two thirds of the height out of the middle, and stretches it or crops it to the old shape."""
    if not (change.stretched or change.cropped):
        return picture
    width, height = picture.size
    top = height * (1.0 - _WIDE_SHARE) / 2
    left = 0.0 if change.stretched else width * (1.0 - _WIDE_SHARE) / 2
    return picture.resize(picture.size, Pillow.Resampling.LANCZOS, box=(left, top, width - left, height - top))


def _encoded(picture: Pillow.Image, jpeg_quality: int | None) -> bytes:
    stream = io.BytesIO()
    if jpeg_quality is None:
        picture.save(stream, "PNG")
    else:
        picture.convert("RGB").save(stream, "JPEG", quality=jpeg_quality)
    return stream.getvalue()


def read_pairs(path: Path) -> list[Pair]:
    """Reads a file of pairs in its order. Raises ``EvaluationError`` naming the line and the fault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"cannot read the pairs {path}: {error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            pair = Pair.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise EvaluationError(f"{path}, line {number}: {where}: {fault['msg']}") from error
        if not (path.parent / pair.image).is_file():
            raise EvaluationError(f"{path}, line {number}: image: there is no file {pair.image} beside {path.name}")
        pairs.append(pair)
    return pairs


def _by_kind(pairs: list[Pair]) -> dict[str, list[Pair]]:
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_kind[pair.arm].append(pair)
    return by_kind
