"""Files beside the clips that a run may lack: the article's sentences, scored, and clips that were made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from evaluation.errors import EvaluationError

EXAMPLES_NAME = "examples.json"
ATTEMPTS_NAME = "attempts.json"


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
    """How many of ``count`` jobs succeeded with at most ``attempts`` attempts, and the share that was predicted.

    ``accept_from``: the judged success from which a clip was accepted. ``predicted_if_independent``: the prediction if
    every pair failed at the same rate. ``clips``: clips made for all jobs together.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    guidance: float
    attempts: int
    success: int
    count: int
    predicted: float
    accept_from: float
    predicted_if_independent: float
    clips: int


def read_examples(folder: Path) -> Sequence[Example] | None:
    """Reads the examples; None without the file. Raises ``EvaluationError``."""
    content = _content(folder / EXAMPLES_NAME)
    try:
        return None if content is None else TypeAdapter(list[Example]).validate_json(content)
    except ValidationError as error:
        raise _damaged(folder / EXAMPLES_NAME, error) from error


def read_attempts(folder: Path) -> Sequence[Attempts] | None:
    """Reads the attempts; None without the file. Raises ``EvaluationError``."""
    content = _content(folder / ATTEMPTS_NAME)
    try:
        return None if content is None else TypeAdapter(list[Attempts]).validate_json(content)
    except ValidationError as error:
        raise _damaged(folder / ATTEMPTS_NAME, error) from error


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
