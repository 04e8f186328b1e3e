"""Words the stages of a sentence as sentences of their own, with subject, setting, camera and style of the whole.

Uses the words of the sentence, its subject in place of a pronoun, and the "is" that its first stage has for all ("is
running, then jumping").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from engine.analysis.prompt.inflection import with_s
from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.rewriting import rewrite
from engine.analysis.prompt.stage_pieces import Piece
from engine.analysis.prompt.stage_subjects import begins_with_belonging, is_same, is_several, meant_by, pronoun_of
from engine.analysis.prompt.stage_text import joined, mark_before, quoted, with_blank, with_comma
from engine.analysis.prompt.staged_sentence import StagedSentence
from engine.analysis.prompt.tokens import LATIN, Token
from engine.analysis.prompt.vocabulary import BASE, THIRD
from engine.api.prompt_report import ClauseKind, Language


class Unworded(Exception):
    """A stage cannot be worded with certainty. The message is the reason, as a clause."""


def word_stages(sentence: StagedSentence, first: int, last: int) -> str:
    """The sentence of the stages ``first`` to ``last``, counted from 1. Raises ``Unworded``."""
    draft, keeps_order = sentence.draft, last > first
    pieces = [piece for piece in sentence.staged if first <= piece.stage <= last]
    if first == 1:
        whole = sorted((*sentence.lead, *pieces), key=lambda piece: piece.tokens[0].start)
        text = joined(draft, whole, keeps_order=keeps_order)
    else:
        text = _with_subject(sentence, pieces, keeps_order=keeps_order)
    for piece in sentence.tail:
        blank = "" if draft.language is Language.ZH else " "
        text = f"{text}{mark_before(piece) or ','}{blank}{quoted(draft, piece.tokens)}"
    opening = next((letter for letter in draft.text if letter.isalpha()), "")
    if opening.isupper():
        text = text[:1].upper() + text[1:]
    return rewrite(text, (), draft.language)


def _with_subject(sentence: StagedSentence, pieces: Sequence[Piece], *, keeps_order: bool) -> str:
    """Later stages behind the pieces that hold for all, which name the main subject."""
    draft, main = sentence.draft, sentence.main_subject
    lead = joined(draft, sentence.lead, keeps_order=False) or _leading_pronoun(sentence)
    opening = list(takewhile(lambda piece: not (piece.acts or piece.is_pronoun or piece.has(ClauseKind.SUBJECT)), pieces))
    if opening and len(opening) < len(pieces):  # "as the sun sets, | she walks away"
        text = joined(draft, opening, keeps_order=keeps_order)
        return with_comma(draft, text, _with_subject(sentence, pieces[len(opening) :], keeps_order=keeps_order))
    first, second = pieces[0], pieces[1] if len(pieces) > 1 else None
    if not lead:
        raise Unworded("no subject stands before its first action")
    if first.acts and begins_with_belonging(first):
        return with_comma(draft, lead, joined(draft, pieces, keeps_order=keeps_order))
    if first.acts or first.is_pronoun:
        return _predicated(sentence, lead, pieces, keeps_order=keeps_order)
    names_main = main is not None and first.has(ClauseKind.SUBJECT) and is_same(first, main)
    if names_main and second is not None and second.acts:
        text = joined(draft, pieces[1:], keeps_order=keeps_order)
        return _behind_lead(sentence, lead, text)
    return with_comma(draft, lead, joined(draft, pieces, keeps_order=keeps_order))


def _predicated(sentence: StagedSentence, lead: str, pieces: Sequence[Piece], *, keeps_order: bool) -> str:
    """The subject of a stage that names none, or only a pronoun, with its predicate."""
    draft, first = sentence.draft, pieces[0]
    pronoun = first.tokens[0] if first.is_pronoun else pronoun_of(first)
    subject = _subject_before(sentence, first, pronoun)
    if pronoun is not None:
        first = replace(first, tokens=first.tokens[1:])
        pieces = [item for item in (first, *pieces[1:]) if item.tokens]
    opening = _predicate(sentence, pieces[0], subject) if pieces else ""
    text = joined(draft, pieces, keeps_order=keeps_order, opening=opening)
    if subject is None or subject is sentence.main_subject:
        return _behind_lead(sentence, lead, text)
    return with_comma(draft, lead, with_blank(draft, quoted(draft, subject.tokens), text))


def _behind_lead(sentence: StagedSentence, lead: str, text: str) -> str:
    """A predicate behind the lead as the first action stands behind it: with or without a comma."""
    first = sentence.first_action
    has_mark = first is not None and bool(sentence.lead) and bool(mark_before(first))
    return with_comma(sentence.draft, lead, text) if has_mark else with_blank(sentence.draft, lead, text)


def _subject_before(sentence: StagedSentence, piece: Piece, pronoun: Token | None) -> Piece | None:
    """The subject of a stage that names none: that of the action before it, or the one that its pronoun means."""
    start = piece.tokens[0].start
    acting = [item for item in sentence.staged if item.acts and item.tokens[0].start < start]
    main = sentence.main_subject
    subjects = [main] if main is not None else []
    for item in acting:
        named = sentence.subject_of(item)
        if named is not None and not any(is_same(named, other) for other in subjects):
            subjects.append(named)
    if not subjects:
        return None
    if pronoun is None:
        return subjects[-1]
    meant = meant_by(pronoun, subjects)
    if meant is None:
        raise Unworded(f"“{pronoun.text}” can mean more than one subject, or none that is named before")
    return meant


def _leading_pronoun(sentence: StagedSentence) -> str:
    """The pronoun that is the subject of a sentence without another: "He looks up, then leaves"."""
    first = sentence.first_action
    is_led = first is not None and first.tokens[0].is_in("pronoun")
    return quoted(sentence.draft, first.tokens[:1]) if first is not None and is_led else ""


def _predicate(sentence: StagedSentence, piece: Piece, subject: Piece | None) -> str:
    """The text of an action, finite where its first stage makes it so: "is jumping", "smiles" after "make her …"."""
    draft, text = sentence.draft, quoted(sentence.draft, piece.tokens)
    verb = next((token for token in piece.tokens if is_verb(token) and token.script == LATIN), None)
    first = sentence.first_action
    if verb is None or first is None or THIRD in verb.forms or piece.tokens[0].is_in("auxiliary"):
        return text
    auxiliary, *others = first.tokens
    if auxiliary.is_in("auxiliary") and any(is_verb(token) for token in others):
        return f"{quoted(draft, [auxiliary])} {text}"
    is_order = draft.words[0].is_in("order")
    if is_order and verb.forms == {BASE} and subject is not None and not is_several(subject):
        start, end = (draft.span([verb]).start, draft.span([verb]).end)
        before = text[: start - draft.span(piece.tokens).start]
        word, blank, rest = draft.text[start:end].partition(" ")
        return f"{before}{with_s(word)}{blank}{rest}{text[len(before) + end - start :]}"
    return text
