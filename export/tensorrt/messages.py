"""What the compiler says, made readable. Knows the form of its messages; knows no build.

The compiler reports through a logger: thousands of lines, C++ places in every error, and the memory of the plan. On a
machine without a card the log is the only source of that memory: to ask the plan itself, it must be on a card.
"""

from __future__ import annotations

import re

_FIGURE = re.compile(r"Total (Activation|Weights) Memory: (\d+) bytes")
_NOISE = (
    re.compile(r"^\w+::\w+: "),  # IBuilder::buildSerializedNetwork:
    re.compile(r"^Error Code \d+: "),
    re.compile(r"\[[\w.]+:\d+: \w+\] "),  # [pass.cpp:1500: run_passes]
    re.compile(r"\.? ?In \w+ at /\S+?:\d+"),
    re.compile(r"^\w+\.cpp:\d+: "),
)
_MEMORY_WORDS = ("bad_alloc", "out of memory", "failed to allocate", "memory allocation")


class Messages:
    """Errors and figures of one build, gathered line by line."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._figures: dict[str, int] = {}

    def add(self, text: str, *, is_error: bool) -> None:
        """Takes a line of the log."""
        if is_error:
            self._errors.append(readable(text))
        elif found := _FIGURE.search(text):
            self._figures[found[1]] = int(found[2])

    @property
    def activation_bytes(self) -> int | None:
        """Scratch memory of one call on the card, as the compiler stated it."""
        return self._figures.get("Activation")

    @property
    def weight_bytes(self) -> int | None:
        """Memory of the weights on the card, as the compiler stated it."""
        return self._figures.get("Weights")

    def summary(self) -> str:
        """The errors in one line, each once."""
        return "; ".join(dict.fromkeys(error for error in self._errors if error)) or "it gave no reason"


def readable(text: str) -> str:
    """One line, without C++ places and names of functions."""
    line = " ".join(text.split())
    for pattern in _NOISE:
        line = pattern.sub("", line)
    for opening in ("Myelin (", "API Usage Error (", "Internal Error ("):
        if line.startswith(opening):
            line = line.removeprefix(opening).removesuffix(")")
    return line.rstrip(". ")


def means_out_of_memory(text: str) -> bool:
    """Whether an error is about memory of the machine that compiles."""
    return any(word in text.lower() for word in _MEMORY_WORDS)
