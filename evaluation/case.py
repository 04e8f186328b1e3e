"""One clip to make, and the interfaces of what makes cases and clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.plan.model import Arm, Sampling
from evaluation.record import ClipFigures, ClipRecord, Truth

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
    """A clip, frames [frames, height, width, 3] uint8, and what the service says of it."""

    frames: Frames
    first_frame_psnr_db: float
    figures: ClipFigures


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
    """The record of a clip."""
    return ClipRecord(
        arm=arm.id,
        index=index,
        pair=case.pair,
        language=case.language,
        seed=case.seed,
        prompt=case.prompt,
        truth=truth,
        **dict(clip.figures),
    )
