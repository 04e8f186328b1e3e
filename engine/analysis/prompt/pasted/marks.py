"""Collects the marks of all kinds, without overlaps; of two kinds at one place the more certain one counts."""

from __future__ import annotations

from engine.analysis.prompt.given_text import GivenText
from engine.analysis.prompt.pasted.arrows import find_arrows
from engine.analysis.prompt.pasted.json_text import find_json
from engine.analysis.prompt.pasted.lists import find_lists
from engine.analysis.prompt.pasted.mark import Mark, Places
from engine.analysis.prompt.pasted.parameters import find_parameters
from engine.analysis.prompt.pasted.sizes import find_sizes
from engine.analysis.prompt.pasted.syntax import find_syntax
from engine.analysis.prompt.pasted.times import find_times


def find_marks(given: GivenText) -> tuple[Mark, ...]:
    """The marks of a text by their place. Accepts any text; linear time."""
    text, lines = given.text, given.line_starts
    places = Places(len(text))
    found = [
        *places.take(find_json(text)),
        *places.take(find_parameters(text, lines)),
        *places.take(find_times(text, lines)),
        *places.take(find_syntax(text)),
        *places.take(find_sizes(text)),
        *places.take(find_lists(text, lines)),
        *places.take(find_arrows(text)),
    ]
    return tuple(sorted(found, key=lambda mark: mark.span))
