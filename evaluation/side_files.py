"""Files beside the clips that a run may lack: the article's sentences, scored, and what further attempts gained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from evaluation.errors import EvaluationError
from export.atomic_file import write_text

EXAMPLES_NAME = "examples.json"
ATTEMPTS_NAME = "attempts.json"
_Item = TypeVar("_Item")


class Example(BaseModel):
    """A sentence of the article on a picture that fits it, in the article's order, which begins with the best.

    ``score``: 0..100. ``chance``: 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sentence: str
    picture: str
    score: float
    chance: float


class Attempts(BaseModel):
    """Success of ``count`` jobs of an arm with at most ``attempts`` attempts, and the predicted share.

    ``accept_from``: the judged success from which a clip was accepted. ``predicted_if_independent``: the prediction if
    every pair failed at the same rate. ``clips``: clips made for all jobs together. ``broken_rules``: jobs in which an
    attempt followed an accepted one, or another clip than the accepted or best one was delivered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arm: str
    guidance: float
    attempts: int
    success: int
    count: int
    predicted: float
    accept_from: float
    predicted_if_independent: float
    clips: int
    broken_rules: int


_EXAMPLES, _ATTEMPTS = TypeAdapter(list[Example]), TypeAdapter(list[Attempts])


def read_examples(folder: Path) -> Sequence[Example] | None:
    """Reads the examples; None without the file. Raises ``EvaluationError``."""
    return _read(folder / EXAMPLES_NAME, _EXAMPLES)


def read_attempts(folder: Path) -> Sequence[Attempts] | None:
    """Reads the attempts; None without the file. Raises ``EvaluationError``."""
    return _read(folder / ATTEMPTS_NAME, _ATTEMPTS)


def write_examples(folder: Path, examples: list[Example]) -> None:
    """Writes the examples in the order in which the report shows them."""
    write_text(folder / EXAMPLES_NAME, _EXAMPLES.dump_json(examples, indent=1).decode() + "\n")


def write_attempts(folder: Path, attempts: list[Attempts]) -> None:
    """Writes the attempts."""
    write_text(folder / ATTEMPTS_NAME, _ATTEMPTS.dump_json(attempts, indent=1).decode() + "\n")


def _read(path: Path, adapter: TypeAdapter[list[_Item]]) -> list[_Item] | None:
    content = _content(path)
    try:
        return None if content is None else adapter.validate_json(content)
    except ValidationError as error:
        raise _damaged(path, error) from error


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}") from error


def _damaged(path: Path, error: ValidationError) -> EvaluationError:
    fault = error.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"])) or "the file"
    return EvaluationError(f"{path}: {where}: {fault['msg']}; delete the file, or write it anew")
