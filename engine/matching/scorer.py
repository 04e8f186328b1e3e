"""Scores pictures against prompts: embeds both, and judges the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from engine.api.capabilities import Geometry
from engine.api.match_report import MatchReport
from engine.api.media import Pixels
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.contrast import Contrasts
from engine.matching.embedding import PictureEncoder, SentenceEncoder, Vectors
from engine.matching.judgement import Judge
from engine.matching.statements import question_of
from engine.media.cropping import sizes_of
from engine.runtime.base import Graph, Runtime
from engine.runtime.execution import Execution


class Scorer:
    """Scores pictures against prompts. Safe to call from several threads; they share graph calls.

    ``graphs`` are those of pictures and of sentences; crops are proposed for the sizes in ``geometries``.
    """

    def __init__(
        self,
        folder: Path,
        spec: ScorerSpec,
        graphs: tuple[Graph, Graph],
        runtime: Runtime,
        geometries: Sequence[Geometry] = (),
    ) -> None:
        self._spec = spec
        self._sizes = sizes_of(geometries)
        self._contrasts = Contrasts(folder, spec)
        self._pictures = PictureEncoder(spec, graphs[0], runtime)
        self._sentences = SentenceEncoder(folder, spec, graphs[1], runtime)

    def score(self, execution: Execution, picture: Pillow.Image | Pixels, prompt: str) -> MatchReport:
        """Scores an RGB picture of any size.

        At most one graph call for the picture, and as few as hold the sentences.
        """
        execution.cancel.check()
        image = self._pictures.embed(picture)
        execution.cancel.check()
        question = question_of(prompt, self._contrasts)
        texts = self._sentences.embed(question.texts)
        return Judge(self._spec, self._contrasts, question, image, texts).report(*_size_of(picture), self._sizes)

    def features(self, execution: Execution, pictures: Sequence[Pillow.Image | Pixels]) -> Vectors:
        """Patch vectors of several pictures, [pictures, patches, size] of unit length, row by row from the top."""
        execution.cancel.check()
        return np.stack([item.patches for item in self._pictures.embed_all(pictures)])


def _size_of(picture: Pillow.Image | Pixels) -> tuple[int, int]:
    return picture.size if isinstance(picture, Pillow.Image) else (picture.shape[1], picture.shape[0])
