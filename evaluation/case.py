"""One clip to make, and the interfaces of what makes cases and clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.plan.model import Arm, Sampling
from evaluation.record import ClipRecord, ClipSettings, Truth

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A pair with its settings. ``picture`` is an encoded file; ``pair`` as in ``ClipRecord``."""

    pair: str
    language: str
    seed: int
    prompt: str
    picture: bytes
    sampling: Sampling


@dataclass(frozen=True)
class MadeClip:
    """A clip and the figures that the service gives of it, as in ``ClipRecord``.

    ``frames``: [frames, height, width, 3] uint8.
    """

    frames: Frames
    settings: ClipSettings
    score: float
    verdict: str
    chance: float
    chance_basis: str
    first_frame_psnr_db: float
    pair_factors: Mapping[str, float]
    clip_factors: Mapping[str, float]
    clip_chance: float | None
    symptoms: Sequence[str]
    remedies: Sequence[str]
    seconds: float


class CaseSource(Protocol):
    """Makes the cases of arms. The same arm, index and source give the same case."""

    def count_of(self, arm: Arm) -> int:
        """Number of cases of an arm that makes no clip again."""
        ...

    def case_of(self, arm: Arm, index: int) -> Case:
        """The case of an arm. Raises ``EvaluationError`` for a picture that cannot be read."""
        ...

    def truth_of(self, arm: Arm, index: int, clip: MadeClip) -> Truth | None:
        """Comparison of a clip with what it should be; None if that is not known."""
        ...


class ClipMaker(Protocol):
    """Makes clips, one at a time."""

    def make(self, case: Case) -> MadeClip:
        """Makes the clip of a case. Raises ``EvaluationError`` with what the engine or the server refused."""
        ...

    def close(self) -> None:
        """Frees the engine or the connection."""
        ...


def record_of(arm: Arm, index: int, case: Case, clip: MadeClip, truth: Truth | None) -> ClipRecord:
    """What is kept of a clip. Figures are rounded to six digits, which is more than any of them is known to."""
    return ClipRecord(
        arm=arm.id,
        index=index,
        pair=case.pair,
        language=case.language,
        seed=case.seed,
        prompt=case.prompt,
        settings=clip.settings,
        score=round(clip.score, 6),
        verdict=clip.verdict,
        chance=round(clip.chance, 6),
        chance_basis=clip.chance_basis,
        pair_factors={name: round(value, 6) for name, value in clip.pair_factors.items()},
        clip_factors={name: round(value, 6) for name, value in clip.clip_factors.items()},
        clip_chance=None if clip.clip_chance is None else round(clip.clip_chance, 6),
        symptoms=tuple(clip.symptoms),
        remedies=tuple(clip.remedies),
        truth=truth,
        redo_of=None if arm.redo_of is None else (arm.redo_of, index),
        remedy=arm.remedy,
        seconds=round(clip.seconds, 3),
    )
