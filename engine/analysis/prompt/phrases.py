"""Parts of a sentence with the use of each verb, shared by the English and the Chinese rules."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis.prompt.tokens import Token
from engine.analysis.prompt.vocabulary import VERB_LISTS

_MOVING = ("motion", "vague", "change", "transform", "weather")


class Use(enum.Enum):
    """Use of a verb: it is the action, accompanies another verb, or describes a noun."""

    MAIN = "main"
    ALONG = "along"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of words between two separators or connectives.

    ``uses`` has the use of each token, None for a token that is no verb. ``follows_connective`` tells that a word such
    as "and" or "然后" introduces the part, ``is_divided`` that a mark of time or a number of a list does.
    """

    tokens: tuple[Token, ...]
    uses: tuple[Use | None, ...]
    follows_connective: bool
    is_divided: bool = False


def is_verb(token: Token) -> bool:
    """True if a list of verbs holds the token."""
    return not token.lists.isdisjoint(VERB_LISTS) or token.is_in("still")


def moves(token: Token) -> bool:
    """True if a verb is about a change with time and not a posture. Unlisted verbs count as such."""
    return not is_verb(token) or (token.is_in(*_MOVING) and not token.is_in("still"))


def names_something(tokens: Sequence[Token]) -> bool:
    """True if the tokens hold a noun, or an unlisted word that may be one."""
    return any(token.is_noun or (not token.lists and token.text[0].isalpha()) for token in tokens)
