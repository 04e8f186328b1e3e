"""Finds the subject of a stage: named anew, the same as before in other words, or left to a pronoun.

A pronoun counts as understood only if one of the subjects before it can be meant.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrase_parser import head_of
from engine.analysis.prompt.stage_pieces import Piece
from engine.analysis.prompt.tokens import HAN, Token

_SUBJECT_PRONOUNS = frozenset({"he", "she", "it", "they", "他", "她", "它", "他们", "她们", "它们"})
_FEMALE = frozenset(
    "woman women girl girls lady ladies mother mum mom grandmother grandma aunt daughter sister wife queen princess "
    "bride actress waitress ballerina nun witch businesswoman".split()
)
_MALE = frozenset(
    "man men boy boys gentleman father dad grandfather grandpa uncle son brother husband king prince groom actor waiter "
    "monk wizard guy businessman fisherman policeman fireman".split()
)
_FEMALE_SIGNS, _MALE_SIGNS = "女妈母婆奶姑娘姐妹妻", "男爸父爷叔哥弟先生夫"
_DEFINITE = frozenset("the this that these those 这只 那只 这位 那位 这个 那个 这 那".split())
_FILLING = ("determiner", "measure", "localizer", "pronoun")


def pronoun_of(piece: Piece) -> Token | None:
    """The pronoun with which a piece begins, as its subject."""
    first = piece.tokens[0]
    return first if first.text in _SUBJECT_PRONOUNS else None


def begins_with_belonging(piece: Piece) -> bool:
    """True for a part of the subject that acts: "her hair flutters", "the tail wags"."""
    first = piece.tokens[0]
    named = next((token for token in piece.tokens[:4] if token.is_noun), None)
    is_part = named is not None and named.is_in("body", "worn")
    return first.is_in("possessive") or (is_part and first.is_in("determiner"))


def meant_by(pronoun: Token, subjects: Sequence[Piece]) -> Piece | None:
    """The only subject that a pronoun can mean; None if several can, or none."""
    fits = [subject for subject in subjects if _fits(pronoun.text, subject)]
    return fits[0] if len(fits) == 1 else None


def is_same(subject: Piece, main: Piece) -> bool:
    """True if a subject is another mention of the main one: "the woman" after "a woman in a red coat"."""
    heads = [_head(piece) for piece in (subject, main)]
    if heads[0] is None or heads[1] is None or heads[0].text != heads[1].text or is_several(subject) != is_several(main):
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
    head = _head(subject)
    if pronoun in {"they", "他们", "她们", "它们"}:
        return subject.tokens[0].script == HAN or is_several(subject)
    if head is None:
        return True
    is_female = head.text in _FEMALE or (head.script == HAN and any(sign in head.text for sign in _FEMALE_SIGNS))
    is_male = head.text in _MALE or (head.script == HAN and any(sign in head.text for sign in _MALE_SIGNS))
    if pronoun in {"it", "它"}:
        return not (is_female or is_male or head.is_in("person"))
    return not is_male if pronoun in {"she", "她"} else not is_female


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
