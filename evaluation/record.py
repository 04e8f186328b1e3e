"""The record of one clip, and the file that holds one JSON object for each clip.

``seconds`` is the only figure that may differ between two runs of the same plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from evaluation.errors import EvaluationError

CLIPS_NAME = "clips.jsonl"
RemedyName = Literal["match", "shorten", "picture", "guidance", "seed"]
Rounded = Annotated[float, AfterValidator(lambda value: round(value, 6))]


class Truth(BaseModel):
    """Comparison of a clip with the drawn clip of its pair.

    ``subject``: the pictured subject is there in the last frame, with its shape and colour. ``motion``: the asked
    action happened. ``light``: the asked change of light happened. ``scene``: the light is right and the scene beside
    the subject is kept. ``found``: subject/colour recognised in the last frame; ``told_found``: it is the one that a
    wrong sentence names, None for right ones. ``judge_ceiling``: ``subject`` of the drawn clip itself, where it was
    measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    subject: bool
    motion: bool
    light: bool
    scene: bool
    found: str
    told_found: bool | None = None
    subject_psnr_db: float | None = None
    scene_psnr_db: float
    first_frame_psnr_db: float
    judge_ceiling: bool | None = None
    actions_done: int
    actions_asked: int

    @property
    def success(self) -> bool:
        """Subject, motion and scene are right."""
        return self.subject and self.motion and self.scene


class ClipSettings(BaseModel):
    """Settings that the clip was made with."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width_px: int
    height_px: int
    frame_count: int
    frame_rate: float
    step_count: int
    guidance_scale: float


class ClipFigures(BaseModel):
    """Figures that the service reports on a pair and on its clip, rounded to six digits.

    ``score``, ``verdict``, ``chance`` and ``pair_factors`` were known before the clip; ``clip_factors``,
    ``clip_chance``, ``symptoms`` and ``remedies`` after it. ``seconds``: what the clip took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    settings: ClipSettings
    score: Rounded
    verdict: str
    chance: Rounded
    chance_basis: str
    pair_factors: dict[str, Rounded]
    clip_factors: dict[str, Rounded]
    clip_chance: Rounded | None
    symptoms: tuple[str, ...]
    remedies: tuple[str, ...]
    seconds: Rounded


class ClipRecord(ClipFigures):
    """One clip. ``arm`` and ``index`` identify it.

    ``pair`` names what is pictured and asked for, equal for clips that must not be on both sides of a held-out split.
    ``truth``: None for pictures of which nobody knows the right clip.
    """

    arm: str
    index: int
    pair: str
    language: str
    seed: int
    prompt: str
    truth: Truth | None

    @property
    def key(self) -> tuple[str, int]:
        """Arm and index."""
        return self.arm, self.index


def read_records(folder: Path) -> list[ClipRecord]:
    """Reads the clips of a run in the order in which they were made; a torn last line is left out.

    Raises ``EvaluationError``.
    """
    path = folder / CLIPS_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}; run `python -m evaluation run` first") from error
    complete = text[: text.rfind("\n") + 1]  # an interrupted run may have torn the last line
    records = []
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            records.append(ClipRecord.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise EvaluationError(
                f"{path}, line {number}: {where}: {fault['msg']}; delete the line, and the run makes that clip again"
            ) from error
    return records
