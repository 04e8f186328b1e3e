"""Reads ``pictures.toml`` and ``sentences.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class StarterPicture:
    """A picture of the set. ``photograph`` is a file of scikit-image, or None for a drawn picture."""

    name: str
    kind: str
    scene: str
    colour: str
    photograph: str | None = None
    tall: bool = False

    @property
    def file_name(self) -> str:
        """Name of the written file."""
        return f"{self.name}.png"


@dataclass(frozen=True)
class Kind:
    """Words for a kind of subject in one language; ``phrase`` has the field {colour}."""

    noun: str
    phrase: str
    pronoun: str
    wrong: str
    implausible: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """Words for a place in one language: the place, what changes there, and a place that the picture does not show."""

    place: str
    change: str
    wrong: str


@dataclass(frozen=True)
class Example:
    """One of the article's sentences, by language, for one picture; ``lacks`` says what the picture does not show."""

    picture: str
    arm: str
    prompts: Mapping[str, str]
    lacks: str = ""


@dataclass(frozen=True)
class Words:
    """All words in one language; ``colours`` gives the word of a colour, ``wrong_colours`` another colour's."""

    kinds: Mapping[str, Kind]
    scenes: Mapping[str, Scene]
    colours: Mapping[str, str]
    wrong_colours: Mapping[str, str]


def starter_pictures() -> tuple[StarterPicture, ...]:
    """All pictures in the order of the list."""
    return tuple(StarterPicture(**row) for row in _table("pictures.toml")["picture"])


def starter_words(language: str) -> Words:
    """The words of ``en`` or ``zh``."""
    table = _table("sentences.toml")
    colours = table["colours"]
    return Words(
        {
            name: Kind(**{**kind[language], "actions": tuple(kind[language]["actions"])})
            for name, kind in table["kinds"].items()
        },
        {name: Scene(**scene[language]) for name, scene in table["scenes"].items()},
        {name: colour[language] for name, colour in colours.items()},
        {name: colours[colour["wrong"]][language] for name, colour in colours.items()},
    )


def article_examples() -> tuple[Example, ...]:
    """The article's sentences."""
    return tuple(
        Example(
            row["picture"],
            row["arm"],
            {language: row[language] for language in LANGUAGES if language in row},
            row.get("lacks", ""),
        )
        for row in _table("sentences.toml")["example"]
    )


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))
