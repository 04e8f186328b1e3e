"""Messages of symptoms and remedies, from ``messages.toml``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.api.diagnosis import Remedy, RemedyKind, Symptom, SymptomKind
from engine.api.prompt_report import Language


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for a remedy: its weight, and the case of the message with the values to fill in."""

    kind: RemedyKind
    weight: float
    case: str
    values: Mapping[str, str] = field(default_factory=dict)


def symptom_of(kind: SymptomKind, language: Language, **values: str) -> Symptom:
    """The symptom of a kind with its message."""
    return Symptom(kind, _texts()["symptom"][kind.value][_message_language(language)].format(**values))


def segment_symptom(kind: SymptomKind, language: Language, numbers: str, message: str) -> Symptom:
    """The symptom of single segments of a chain. ``numbers`` names them, ``message`` is that of the first one."""
    return Symptom(kind, _texts()["segment"][_message_language(language)].format(numbers=numbers, message=message))


def remedies_from(evidence: Sequence[Evidence], language: Language) -> tuple[Remedy, ...]:
    """Remedies by the sum of their evidence, each with the message of its strongest evidence."""
    kinds = [kind for kind in RemedyKind if any(item.kind is kind for item in evidence)]
    gathered = {kind: [item for item in evidence if item.kind is kind] for kind in kinds}
    kinds.sort(key=lambda kind: -sum(item.weight for item in gathered[kind]))
    strongest = [max(gathered[kind], key=lambda item: item.weight) for kind in kinds]
    return tuple(
        Remedy(
            item.kind, _texts()["remedy"][item.kind.value][item.case][_message_language(language)].format(**item.values)
        )
        for item in strongest
    )


@functools.cache
def _texts() -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / "messages.toml").read_text(encoding="utf-8"))


def _message_language(language: Language) -> str:
    return "zh" if language is Language.ZH else "en"
