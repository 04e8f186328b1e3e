"""The compiler's log: errors made readable, and the memory figures of the engine.

The compiler logs thousands of lines, C++ source locations in every error, and the memory that the engine needs. On a
machine without a GPU the log is the only source of these figures: an engine can be asked only where it can be loaded.
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


class CompilerLog:
    """Errors and memory figures of one build, collected line by line."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._figures: dict[str, int] = {}

    def add(self, text: str, *, is_error: bool) -> None:
        """Adds a line of the log."""
        if is_error:
            self._errors.append(readable(text))
        elif found := _FIGURE.search(text):
            self._figures[found[1]] = int(found[2])

    @property
    def activation_bytes(self) -> int | None:
        """GPU memory for the activations of one call; None if it was not logged."""
        return self._figures.get("Activation")

    @property
    def weight_bytes(self) -> int | None:
        """GPU memory of the weights; None if it was not logged."""
        return self._figures.get("Weights")

    def summary(self) -> str:
        """The distinct errors in one line."""
        return "; ".join(dict.fromkeys(error for error in self._errors if error)) or "it gave no reason"


def readable(text: str) -> str:
    """An error as one line, without C++ source locations and function names."""
    line = " ".join(text.split())
    for pattern in _NOISE:
        line = pattern.sub("", line)
    for opening in ("Myelin (", "API Usage Error (", "Internal Error ("):
        if line.startswith(opening):
            line = line.removeprefix(opening).removesuffix(")")
    return line.rstrip(". ")


def means_out_of_memory(text: str) -> bool:
    """True if an error says that the host's memory ran out."""
    return any(word in text.lower() for word in _MEMORY_WORDS)
