"""What a clause is held against. Knows logits and the contrast sets of a bundle; knows no clause.

The raw logit of a SigLIP model says little about one pair alone. So it is held against what the same picture gives
for other things of the kind: m = z − ln(mean of e^z over the contrast set), z = exp(scale) · cosine + bias. The bias
cancels.
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
    """Contrast sentences of one language. ``spec`` has its templates and actions."""

    def __init__(self, spec: LanguageContrastSpec, rows: Vectors) -> None:
        self.spec = spec
        self.subjects: Vectors = rows[slice(*spec.subjects)]  # [subjects, size]
        self.scenes: Vectors = rows[slice(*spec.scenes)]  # [scenes, size]


class Contrasts:
    """All contrast sets of a bundle and its logit scale."""

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
        """Whether the bundle has sets at all; earlier exports have none."""
        return bool(self._sets)

    def of(self, language: Language) -> ContrastSet:
        """The set of a language; of English for languages without one."""
        return self._sets.get(language) or self._sets.get(Language.EN) or next(iter(self._sets.values()))

    def logits(self, images: Vectors, texts: Vectors) -> Logits:
        """Z less its bias: [..., size] and [texts, size] to [..., texts]."""
        return self._scale * (images @ texts.T).astype(np.float64)

    def margin(self, image: Vectors, text: Vectors, others: Vectors | Sequence[Vectors]) -> float:
        """M of a sentence against a contrast set."""
        level = log_mean_exp(self.logits(image, np.asarray(others, np.float32)))
        return float(self.logits(image, text[None])[0] - level)


def _load(path: Path) -> Vectors:
    try:
        array: Vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleInvalid(f"cannot read {path}: {error}; export it again") from error
    return array
