"""Joins pieces of a sentence to a text, with the words and marks that stand between them in the sentence."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.stages.pieces import Piece, is_order_word, is_tie
from engine.analysis.prompt.tokens import MARK, Token
from engine.analysis.prompt.vocabulary import vocabulary
from engine.api.prompt_report import Language

_STOPS = frozenset(".!?;。")
_COMMAS = frozenset(",:|→~…、—–")
_CLOSERS = {"“": "”", "„": "“", "«": "»", "(": ")", "（": "）", "「": "」", "『": "』", "《": "》", '"': '"'}


def joined(draft: Draft, pieces: Sequence[Piece], *, keeps_order: bool, opening: str | None = None) -> str:
    """The text of some pieces. ``opening`` replaces the first one.

    Without ``keeps_order`` words such as "then" are left out, as they are at the beginning; "while" is kept.
    """
    text = ""
    for number, piece in enumerate(pieces):
        tokens = piece.tokens
        if number == len(pieces) - 1 and piece.acts and len(tokens) > 1 and is_order_word(tokens[-1]):
            tokens = tokens[:-1]  # 站起来 | 之后
        own = quoted(draft, tokens, keeps_order=keeps_order and number > 0)
        if number == 0:
            tie = [token for token in piece.before if piece.is_aside or is_tie(token)] if opening is None else []
            tie = [token for token in tie if token.script != MARK]
            text = with_blank(draft, quoted(draft, tie), own) if tie else own if opening is None else opening
        else:
            text = _after(draft, text, piece, own, keeps_order=keeps_order or (piece.is_ordered and not piece.acts))
    return text


def quoted(draft: Draft, tokens: Sequence[Token], *, keeps_order: bool = False) -> str:
    """The words of the sentence at some tokens, with a quotation mark or bracket that belongs to them."""
    while len(tokens) > 1 and not keeps_order and is_order_word(tokens[0]):
        tokens = tokens[1:]
    if not tokens:
        return ""
    span = draft.span(tokens)
    text, start, end = draft.text[span.start : span.end], span.start, span.end
    after, before = draft.text[end : end + 1], draft.text[max(start - 1, 0) : start]
    for opener, closer in _CLOSERS.items():
        opened = text.count(opener) - (text.count(closer) if closer != opener else 0)
        if after == closer and (opened > 0 if closer != opener else opened % 2):
            return text + after
        if before == opener and (opened < 0 if closer != opener else opened % 2):
            return before + text
    return text


def mark_before(piece: Piece) -> str:
    """The stop or comma that stands before a piece; empty without one."""
    marks = [token.text for token in piece.before if token.script == MARK]
    stops = [mark for mark in marks if mark in _STOPS]
    return stops[0] if stops else "," if not _COMMAS.isdisjoint(marks) else ""


def with_comma(draft: Draft, first: str, second: str) -> str:
    """Two texts with a comma between them."""
    return f"{first}, {lowered(second)}" if draft.language is Language.EN else f"{first},{second}"


def with_blank(draft: Draft, first: str, second: str) -> str:
    """Two texts one after the other; with a blank, in Chinese only where Latin words meet."""
    meets = first[-1:].isascii() and second[:1].isascii()
    return f"{first} {lowered(second)}" if draft.language is Language.EN or meets else first + second


def lowered(text: str) -> str:
    """A text that does not begin a sentence any more: a listed first word loses its capital."""
    word, blank, rest = text.partition(" ")
    is_listed = word.casefold() in vocabulary().english and word != "I" and not word.isupper()
    return word[:1].lower() + word[1:] + blank + rest if is_listed or word == "A" else text


def _after(draft: Draft, text: str, piece: Piece, own: str, *, keeps_order: bool) -> str:
    """A text with one more piece and what stands before it."""
    words = [token for token in piece.before if token.script != MARK]
    has_order = any(map(is_order_word, words))
    between = [draft.quote(draft.span([token])) for token in words if keeps_order or not has_order]
    if not keeps_order and has_order:
        between = [draft.quote(draft.span([token])) for token in words if token.is_in("together")]
    mark = mark_before(piece)
    is_english = draft.language is Language.EN
    if piece.is_divided and keeps_order and not has_order:
        between, mark = ["then" if is_english else "然后"], ","
        own = lowered(own)
    tied = " ".join((*between, own)) if is_english else "".join((*between, own))
    if mark:
        return f"{text}{mark} {tied}" if is_english else f"{text}{mark}{tied}"
    return f"{text} {tied}" if is_english else with_blank(draft, text, tied)
