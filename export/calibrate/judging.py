"""Runs a bundle's scorer over labelled pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from engine.api.cancellation import CancelFlag
from engine.api.match_report import ClauseScore, MatchReport
from engine.api.prompt_report import ClauseKind
from engine.bundle.manifest import Manifest
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.scorer import Scorer
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from export.calibrate.pairs import Pair, PairFile
from export.calibrate.statistics import Labels, Values
from export.errors import ExportError
from export.pictures import read_picture

KINDS = (ClauseKind.SUBJECT, ClauseKind.ACTION, ClauseKind.ENVIRONMENT)
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Judged:
    """A pair and the scorer's report on it."""

    pair: Pair
    report: MatchReport

    @property
    def language(self) -> str:
        """Language of the sentence: as labelled, else that of its first judged clause."""
        return self.pair.language or next((item.language.value for item in self.report.clauses), "en")


class PairScorer:
    """A bundle's scorer on ONNX Runtime, which scores with any calibration."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        if manifest.scorer is None or manifest.scorer.contrasts is None:
            raise ExportError(f"{folder} has no scorer with contrast sets; export it again")
        self._folder, self._manifest = folder, manifest
        self._runtime = OrtRuntime(thread_count=1)
        graphs = {spec.stage: self._runtime.load(folder, spec) for spec in manifest.graphs if "scorer" in spec.stage}
        self._graphs = graphs["scorer_image"], graphs["scorer_text"]

    def judge(self, file: PairFile, spec: ScorerSpec) -> list[Judged]:
        """Scores every pair with ``spec``, in order. Raises ``ExportError`` for a picture that cannot be read."""
        scorer = Scorer(self._folder, spec, self._graphs, self._runtime)
        execution = Execution(self._runtime, CancelFlag())
        return [Judged(pair, scorer.score(execution, picture, pair.prompt)) for pair, picture in _with_pictures(file)]


def _with_pictures(file: PairFile) -> Iterator[tuple[Pair, Pillow.Image]]:
    for pair in file.pairs:
        yield pair, read_picture(file.folder / pair.image)


def labelled(
    judged: Iterable[Judged], kind: ClauseKind | None = None, language: str | None = None
) -> tuple[Values, Values, Labels]:
    """Margins, probabilities and labels of the clauses with a label, of one kind and language or of all."""
    found = [
        (clause, label)
        for item in judged
        for clause in item.report.clauses
        if kind in (None, clause.kind) and language in (None, item.language)
        for label in [label_of(item.pair, clause)]
        if label is not None
    ]
    margins = np.array([clause.contrast for clause, _ in found], np.float64)
    chances = np.array([clause.probability for clause, _ in found], np.float64)
    return margins, chances, np.array([label for _, label in found], bool)


def label_of(pair: Pair, clause: ClauseScore) -> bool | None:
    """The label of a clause; None if the clause has no label or was not judged."""
    return None if clause.probability is None else pair.label(clause.kind)
