"""Finds the use of each verb in an English sentence.

The neighbours of a word such as "waves" decide between verb and noun. Unlisted words count as verbs where only a verb
can stand: "the axolotl wiggles its gills".
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrases import Use, is_verb
from engine.analysis.prompt.tokens import LATIN, Token
from engine.analysis.prompt.vocabulary import BASE, ING, PAST, THIRD

_PLURALS = frozenset({"people", "men", "women", "children", "they", "we", "you", "i", "mice", "geese", "fish", "crowd"})
_BY_AGENT = frozenset({"in", "with", "by", "for", "on", "against", "of", "at", "into", "to"})


def verb_uses(tokens: Sequence[Token]) -> list[Use | None]:
    """The use of each token of one chunk; None for a token that is no verb."""
    uses: list[Use | None] = []
    has_finite = in_relative = False
    for index, token in enumerate(tokens):
        use = _use(tokens, index, has_finite=has_finite)
        in_relative = in_relative or (has_finite and token.is_in("relative"))
        if in_relative and use is not None:
            use = Use.ATTRIBUTE  # "bubbles that float upward"
        if token.is_in("conjunction", "sequence", "together") and any(map(_finite, tokens[index + 1 : index + 5])):
            has_finite = False
        has_finite = has_finite or (use is Use.MAIN and token.forms != {ING})
        uses.append(use)
    return uses


def _use(tokens: Sequence[Token], index: int, *, has_finite: bool) -> Use | None:
    token = tokens[index]
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if token.script != LATIN or token.is_in("plain") or (index == 0 and token.is_in("order")):
        return None
    if not is_verb(token):
        return _use_of_unknown(token, before, after, has_finite=has_finite)
    if token.is_in("auxiliary") and _verb_follows(tokens, index):
        return None
    if before is not None and before.text == "to":
        return None
    wears_colour = index > 1 and tokens[index - 2].text == "in" and tokens[index - 1].is_in("adjective")
    if before is not None and _opens_noun(before) and not wears_colour:
        return Use.ATTRIBUTE if token.forms & {ING, PAST} and not token.is_noun else None
    if token.forms == {ING}:
        return Use.ALONG if has_finite else Use.MAIN
    if token.forms == {PAST} and after is not None and after.text in _BY_AGENT and not _is_auxiliary(before):
        return Use.ATTRIBUTE
    if has_finite and not token.forms & {ING, PAST}:
        return None  # a second finite verb needs a connective: "pushes the door open", "with folded hands"
    if before is None and token.is_in("adjective") and after is not None and after.is_noun:
        return None  # "dim lanterns"
    if token.is_noun and not _stands_as_verb(token, before, after):
        return None
    if token.forms == {BASE} and index > 1 and not tokens[index - 1].lists and _opens_noun(tokens[index - 2]):
        return None  # "a serious look"
    return Use.MAIN


def _use_of_unknown(token: Token, before: Token | None, after: Token | None, *, has_finite: bool) -> Use | None:
    """The use of an unlisted word: "wiggles its", "is wiggling"."""
    if token.lists:
        return None
    if token.text.endswith("ing") and (before is None or _is_auxiliary(before) or before.is_noun):
        return Use.ALONG if has_finite or before is None else Use.MAIN
    if before is None:
        return None
    openers = ("determiner", "possessive", "preposition", "adverb", "direction", "adjective", "pronoun")
    after_opens = after is None or after.is_in(*openers)
    is_third = token.text.endswith("s") and not token.text.endswith(("ss", "us", "is", "'s"))
    named = before.is_noun or before.is_in("adverb", "pronoun") or not before.lists
    return Use.MAIN if is_third and after_opens and named and not has_finite else None


def _stands_as_verb(token: Token, before: Token | None, after: Token | None) -> bool:
    if after is not None and _finite(after) and not after.is_noun:
        return False
    if after is not None and (after.is_in("auxiliary") or (after.forms == {ING} and before is None)):
        return False
    if before is not None and is_verb(before) and not before.is_noun and not before.is_in("auxiliary"):
        return False  # "hold hands"
    if before is None:
        return THIRD in token.forms or (after is not None and after.is_in("determiner", "possessive", "preposition"))
    if BASE in token.forms and THIRD not in token.forms:
        plural = before.text in _PLURALS or (before.is_noun and before.text.endswith("s"))
        return plural or before.is_in("auxiliary", "adverb", "conjunction", "sequence", "order", "pronoun")
    return True


def _finite(token: Token) -> bool:
    return is_verb(token) and bool(token.forms & {BASE, THIRD})


def _opens_noun(token: Token) -> bool:
    """True if a noun must follow: after "the", "his", "red", "with"."""
    if token.is_in("determiner", "possessive"):
        return True
    if token.is_in("auxiliary", "adverb", "sequence", "together", "conjunction", "order", "pronoun"):
        return False
    return token.is_in("adjective", "preposition", "abstract", "negation") and not token.is_noun


def _is_auxiliary(token: Token | None) -> bool:
    return token is not None and token.is_in("auxiliary", "adverb")


def _verb_follows(tokens: Sequence[Token], index: int) -> bool:
    for token in tokens[index + 1 : index + 4]:
        if is_verb(token) and not token.is_in("auxiliary"):
            return bool(token.forms & {ING, PAST, BASE})
        if not token.is_in("adverb", "negation", "abstract"):
            return False
    return False
