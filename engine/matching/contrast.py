"""Margins: the logit of a sentence compared with those of contrast sentences for the same picture.

The raw logit of a SigLIP model says little about one pair alone. The margin is m = z − ln(mean of e^z over the contrast
set), with z = exp(scale) · cosine + bias; the bias cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.api.errors import BundleInvalid
from engine.api.prompt_report import Language
from engine.bundle.scorer_spec import LanguageContrastSpec, ScorerSpec
from engine.matching.embedding import Vectors

Logits = NDArray[np.float64]


def log_mean_exp(logits: Logits) -> Logits:
    """ln(mean of e^z) over the last axis."""
    highest = logits.max(axis=-1, keepdims=True)
    total = np.exp(logits - highest).sum(axis=-1)
    level: Logits = np.log(total / logits.shape[-1]) + highest[..., 0]
    return level


class ContrastSet:
    """The contrast sentences of one language. ``spec`` has the language's templates and actions."""

    def __init__(self, spec: LanguageContrastSpec, rows: Vectors) -> None:
        self.spec = spec
        self.subjects: Vectors = rows[slice(*spec.subjects)]  # [subjects, size]
        self.scenes: Vectors = rows[slice(*spec.scenes)]  # [scenes, size]


class Contrasts:
    """The contrast sets and the logit scale of a bundle."""

    def __init__(self, folder: Path, spec: ScorerSpec) -> None:
        self._scale = float(np.exp(spec.logit_scale_log))
        self.sentences = _load(folder / spec.contrast_file)  # [sentences, size]
        self._sets: dict[Language, ContrastSet] = {}
        if spec.contrasts is not None:
            rows = _load(folder / spec.contrasts.file)
            for item in spec.contrasts.languages:
                if max(item.subjects[1], item.scenes[1]) > len(rows):
                    raise BundleInvalid(f"{folder / spec.contrasts.file} has only {len(rows)} rows; export it again")
                self._sets[Language(item.language)] = ContrastSet(item, rows)

    @property
    def can_judge_clauses(self) -> bool:
        """True if the bundle has contrast sets. Bundles of early exports have none."""
        return bool(self._sets)

    def of(self, language: Language) -> ContrastSet:
        """The set of a language; the English set for a language without one."""
        return self._sets.get(language) or self._sets.get(Language.EN) or next(iter(self._sets.values()))

    def logits(self, images: Vectors, texts: Vectors) -> Logits:
        """Logits without the bias, of vectors [..., size] and texts [texts, size]: [..., texts]."""
        return self._scale * (images @ texts.T).astype(np.float64)

    def margin(self, image: Vectors, text: Vectors, others: Vectors | Sequence[Vectors]) -> float:
        """The margin of a sentence against a contrast set."""
        level = log_mean_exp(self.logits(image, np.asarray(others, np.float32)))
        return float(self.logits(image, text[None])[0] - level)


def _load(path: Path) -> Vectors:
    try:
        array: Vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleInvalid(f"cannot read {path}: {error}; export it again") from error
    return array
