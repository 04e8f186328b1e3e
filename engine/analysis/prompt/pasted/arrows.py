"""Finds arrows between stages that are typed as several characters: ``looks up -> smiles => waves``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import Mark
from engine.api.prompt_report import Span

_ARROW = re.compile(r"-{1,3}>|={1,3}>|[➔➜➝➞➡⇒⟶⟹]\ufe0f?|>{2,3}|(?<= )>(?= )")


def find_arrows(text: str) -> Iterator[Mark]:
    """Arrows divide stages. The model is given them as they stand, so that no finding tells of them."""
    for match in _ARROW.finditer(text):
        yield Mark(Span(*match.span()), divides=True, replacement=None)
