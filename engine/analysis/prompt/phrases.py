"""What the two grammars say about words: how each verb is used. Plain data and what both need to find it.

Knows no language.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis.prompt.tokens import Token
from engine.analysis.prompt.vocabulary import VERB_LISTS

_MOVING = ("motion", "vague", "change", "transform", "weather")


class Use(enum.Enum):
    """How a verb is used: it tells the action, goes along with another one, or describes a noun."""

    MAIN = "main"
    ALONG = "along"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of words between two separators or connectives, with the use of each verb in it.

    ``uses`` has an entry for each token. ``follows_connective`` says that a word such as "and" or "然后" leads in.
    """

    tokens: tuple[Token, ...]
    uses: tuple[Use | None, ...]
    follows_connective: bool

    @property
    def main_verbs(self) -> tuple[int, ...]:
        """Indices of the verbs that tell an action."""
        return tuple(index for index, use in enumerate(self.uses) if use is Use.MAIN)


def is_verb(token: Token) -> bool:
    """Whether a list of verbs holds it."""
    return not token.lists.isdisjoint(VERB_LISTS) or token.is_in("still")


def moves(token: Token) -> bool:
    """Whether a verb tells of something that changes with time, as against a posture; one of no list counts."""
    return not is_verb(token) or (token.is_in(*_MOVING) and not token.is_in("still"))


def names_something(tokens: Sequence[Token]) -> bool:
    """Whether there is a noun, or a word of no list that may be one."""
    return any(token.is_noun or (not token.lists and token.text[0].isalpha()) for token in tokens)
