"""Finds the subject of a stage: named anew, the same as before in other words, or left to a pronoun.

A pronoun counts as understood only if one of the subjects before it can be meant.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrase_parser import head_of
from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.stages.pieces import Piece
from engine.analysis.prompt.tokens import HAN, LATIN, Token

_SPEAKING = frozenset({"i", "you", "we", "我", "你", "我们", "你们"})  # mean nothing that a sentence names
_SUBJECT_PRONOUNS = _SPEAKING | {"he", "she", "it", "they", "他", "她", "它", "他们", "她们", "它们"}
_PERSONAL = frozenset({"he", "she", "他", "她"})
_DEFINITE = frozenset(
    {"the", "this", "that", "these", "those", "这只", "那只", "这位", "那位", "这个", "那个", "这", "那"}
)
_PERSONS_OR_THINGS = frozenset({"robot", "baby", "monster", "zombie", "ghost", "alien", "机器人", "婴儿", "宝宝"})
_FILLING = ("determiner", "measure", "localizer", "pronoun")


def pronoun_of(piece: Piece) -> Token | None:
    """The pronoun that is the subject of a piece: "she waves", "slowly she waves"."""
    words = [token for token in piece.tokens[:3] if not token.is_in("adverb")]
    return words[0] if words and words[0].text in _SUBJECT_PRONOUNS else None


def names_another(piece: Piece) -> bool:
    """True for an action of something that no list calls a subject: "her hair flutters", "subtitles appear"."""
    first = next((token for token in piece.tokens if not token.is_in("adverb")), piece.tokens[0])
    named = next((token for token in piece.tokens[:4] if token.is_noun), None)
    is_part = named is not None and named.is_in("body", "worn")
    if first.is_in("possessive") or (is_part and first.is_in("determiner")):
        return True
    if first.script != LATIN:
        return first.is_in("plain") and not first.is_in("adverb")  # 流星划过
    acts = is_verb(first) or first.forms or first.is_in("auxiliary", "negation", "preposition", "pronoun", "direction")
    return bool(first.lists) and not acts


def meant_by(pronoun: Token, subjects: Sequence[Piece]) -> Piece | None:
    """The only subject that a pronoun can mean; None if several can, or none."""
    fits = [subject for subject in subjects if _fits(pronoun.text, subject)]
    if pronoun.text in _PERSONAL:  # a person before a thing that is no person
        fits = [subject for subject in fits if _is_person(subject)] or fits
    return fits[0] if len(fits) == 1 else None


def is_same(subject: Piece, main: Piece) -> bool:
    """True if a subject is another mention of the main one: "the woman" after "a woman in a red coat"."""
    head, main_head = _head(subject), _head(main)
    if head is None or main_head is None or head.text != main_head.text or is_several(subject) != is_several(main):
        return False
    own, known = ({token.text for token in piece.tokens if not token.is_in(*_FILLING)} for piece in (subject, main))
    first = subject.tokens[0]
    is_bare = first.script == HAN and not first.is_in("measure")
    return own <= known and (first.text in _DEFINITE or is_bare or first.text == main.tokens[0].text)


def is_several(subject: Piece) -> bool:
    """True for a plural: "two dogs", "a man and a woman"."""
    head = _head(subject)
    ends = head is not None and (head.text.endswith("s") or head.text in {"people", "men", "women", "children", "mice"})
    return ends or any(token.is_in("conjunction") for token in subject.tokens)


def _fits(pronoun: str, subject: Piece) -> bool:
    if pronoun in _SPEAKING:
        return False
    head = _head(subject)
    if pronoun in {"they", "他们", "她们", "它们"}:
        return subject.tokens[0].script == HAN or is_several(subject)
    if head is None:
        return True
    if head.is_in("body", "worn"):
        return False  # "her hair flutters, then she smiles"
    if pronoun in {"it", "它"}:
        return not head.is_in("person") or head.text in _PERSONS_OR_THINGS
    return not head.is_in("male" if pronoun in {"she", "她"} else "female")


def _is_person(subject: Piece) -> bool:
    head = _head(subject)
    return head is not None and head.is_in("person")


def _head(piece: Piece) -> Token | None:
    """The head noun; of unlisted nouns the last word before a preposition."""
    head = head_of(piece.tokens)
    if head is not None:
        return head
    words: list[Token] = []
    for token in piece.tokens:
        if words and token.is_in("preposition", "resting"):
            break
        if not token.is_in(*_FILLING):
            words.append(token)
    return words[-1] if words else None
