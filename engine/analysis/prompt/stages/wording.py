"""Words the stages of a sentence as sentences of their own, with subject, setting, camera and style of the whole.

Uses the words of the sentence, its subject in place of a pronoun, and the "is" that its first stage has for all ("is
running, then jumping").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from engine.analysis.prompt.rewriting import rewrite
from engine.analysis.prompt.stages.pieces import Piece
from engine.analysis.prompt.stages.predicates import predicate
from engine.analysis.prompt.stages.roles import StagedSentence
from engine.analysis.prompt.stages.subjects import is_same, meant_by, names_another, pronoun_of
from engine.analysis.prompt.stages.text import joined, mark_before, quoted, with_blank, with_comma
from engine.analysis.prompt.tokens import Token
from engine.analysis.prompt.vocabulary import PAST, THIRD
from engine.api.prompt_report import ClauseKind, Language

_ACTING = (ClauseKind.SUBJECT, ClauseKind.ACTION)
_RELATIVES = frozenset({"where", "which", "who", "whose", "that"})


class Unworded(Exception):
    """A stage cannot be worded with certainty. The message is the reason, as a clause."""


def word_stages(sentence: StagedSentence, first: int, last: int) -> str:
    """The sentence of the stages ``first`` to ``last``, counted from 1. Raises ``Unworded``."""
    draft, keeps_order = sentence.draft, last > first
    pieces = [piece for piece in sentence.staged if first <= piece.stage <= last]
    if not pieces and (first > 1 or not sentence.lead):
        raise Unworded("one of its stages has no words")
    if first == 1:
        whole = sorted((*sentence.lead, *pieces), key=lambda piece: piece.tokens[0].start)
        text = joined(draft, whole, keeps_order=keeps_order)
    else:
        text = _with_subject(sentence, pieces, keeps_order=keeps_order)
    for piece in sentence.tail:
        blank = "" if draft.language is Language.ZH else " "
        text = f"{text}{mark_before(piece) or ','}{blank}{quoted(draft, piece.tokens)}"
    text = rewrite(text, (), draft.language)
    if _is_balanced(draft.text) and not _is_balanced(text):
        raise Unworded("a bracket or a quotation spans several stages")
    return text


def _is_balanced(text: str) -> bool:
    return text.count("(") == text.count(")") and text.count('"') % 2 == 0 and text.count("“") == text.count("”")


def _with_subject(sentence: StagedSentence, pieces: Sequence[Piece], *, keeps_order: bool) -> str:
    """Later stages behind the pieces that hold for all, which name the main subject."""
    draft, main = sentence.draft, sentence.main_subject
    lead = joined(draft, _lead(sentence, pieces), keeps_order=False)
    if not lead or main is None:
        led = _leading_pronoun(sentence)
        lead = with_comma(draft, lead, led) if lead and led else lead or led
    opening = list(
        takewhile(lambda piece: not (piece.acts or piece.is_pronoun or piece.has(ClauseKind.SUBJECT)), pieces)
    )
    if opening and len(opening) < len(pieces):  # "as the sun sets, | she walks away"
        text = joined(draft, opening, keeps_order=keeps_order)
        return with_comma(draft, text, _with_subject(sentence, pieces[len(opening) :], keeps_order=keeps_order))
    first, second = pieces[0], pieces[1] if len(pieces) > 1 else None
    if first.tokens[0].text in _RELATIVES:
        raise Unworded(f"a stage begins with “{first.tokens[0].text}”")
    if main is not None and _may_describe(sentence):
        raise Unworded("its first verb may describe the subject")
    if not lead and (first.acts or first.is_pronoun):
        raise Unworded("no subject stands before its first action")
    if not lead:
        return joined(draft, pieces, keeps_order=keeps_order)
    if first.acts and names_another(first):
        return with_comma(draft, lead, joined(draft, pieces, keeps_order=keeps_order))
    if first.acts or first.is_pronoun:
        return _predicated(sentence, lead, pieces, keeps_order=keeps_order)
    names_main = main is not None and first.has(ClauseKind.SUBJECT) and is_same(first, main)
    if names_main and second is not None and second.acts:
        text = joined(draft, pieces[1:], keeps_order=keeps_order)
        return _behind_lead(sentence, lead, text)
    return with_comma(draft, lead, joined(draft, pieces, keeps_order=keeps_order))


def _lead(sentence: StagedSentence, pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The lead; in Chinese without the place of the first action where the stage has one: "在公路上", "停在海边"."""
    last = sentence.lead[-1] if sentence.lead else None
    has_place = any(token.is_in("place") for piece in pieces for token in piece.tokens)
    if last is None or not has_place or sentence.draft.language is not Language.ZH or not last.has(ClauseKind.SUBJECT):
        return sentence.lead
    place = next((index for index, token in enumerate(last.tokens) if index and token.text == "在"), None)
    return sentence.lead if place is None else (*sentence.lead[:-1], replace(last, tokens=last.tokens[:place]))


def _may_describe(sentence: StagedSentence) -> bool:
    """True if the first verb is a participle that may belong to the subject: "a cream knitted sweater"."""
    verbs = (
        next((token for token in piece.tokens if token.forms and not token.is_in("auxiliary")), None)
        for piece in sentence.staged
        if piece.acts
    )
    known = [verb for verb in verbs if verb is not None]
    return bool(known) and known[0].forms == {PAST} and any(THIRD in verb.forms for verb in known[1:])


def _predicated(sentence: StagedSentence, lead: str, pieces: Sequence[Piece], *, keeps_order: bool) -> str:
    """The subject of a stage that names none, or only a pronoun, with its predicate."""
    draft, first = sentence.draft, pieces[0]
    pronoun = first.tokens[0] if first.is_pronoun else pronoun_of(first)
    subject = _subject_before(sentence, first, pronoun)
    adverbs = ""
    if pronoun is not None:  # "slowly she raises" becomes "slowly raises"
        place = first.tokens.index(pronoun)
        adverbs = quoted(draft, first.tokens[:place])
        first = replace(first, tokens=first.tokens[place + 1 :])
        pieces = [item for item in (first, *pieces[1:]) if item.tokens]
    opening = predicate(sentence, pieces[0], subject) if pieces else ""
    opening = with_blank(draft, adverbs, opening) if adverbs else opening
    text = joined(draft, pieces, keeps_order=keeps_order, opening=opening)
    if subject is None or subject is sentence.main_subject:
        return _behind_lead(sentence, lead, text)
    return with_comma(draft, lead, with_blank(draft, quoted(draft, subject.tokens), text))


def _behind_lead(sentence: StagedSentence, lead: str, text: str) -> str:
    """A predicate behind the lead as the first action stands behind it: with or without a comma."""
    first = sentence.first_action
    has_mark = first is not None and bool(sentence.lead) and bool(mark_before(first)) and pronoun_of(first) is None
    return with_comma(sentence.draft, lead, text) if has_mark else with_blank(sentence.draft, lead, text)


def _subject_before(sentence: StagedSentence, piece: Piece, pronoun: Token | None) -> Piece | None:
    """The subject of a stage that names none: that of the action before it, or the one that its pronoun means."""
    start = piece.tokens[0].start
    acting = [item for item in sentence.staged if item.acts and not item.is_aside and item.tokens[0].start < start]
    subjects = [] if sentence.main_subject is None else [sentence.main_subject]
    for item in acting:
        named, own_pronoun = sentence.subject_of(item), pronoun_of(item)
        if named is None and own_pronoun is not None:
            named = meant_by(own_pronoun, subjects)
        if named is not None and not named.is_tied:
            known = next((other for other in subjects if is_same(named, other)), named)
            subjects = [*(other for other in subjects if other is not known), known]
    if pronoun is None:
        return subjects[-1] if subjects else None
    leading = _pronoun_subject(sentence)
    named_subjects = [subject for subject in subjects if leading not in subject.tokens]
    is_leading = leading is not None and leading.text == pronoun.text
    if is_leading and not named_subjects:
        return sentence.main_subject
    meant = None if is_leading else meant_by(pronoun, named_subjects)
    if meant is None:
        word = quoted(sentence.draft, [pronoun])
        raise Unworded(f"“{word}” can mean more than one subject, or none that is named before")
    return meant


def _pronoun_subject(sentence: StagedSentence) -> Token | None:
    """The pronoun that is the subject of the first action; None for another subject."""
    first = sentence.first_action
    if first is None:
        return None
    named = sentence.subject_of(first)
    word = first.tokens[0] if named is None else named.tokens[-1]
    return word if word.is_in("pronoun") else None


def _leading_pronoun(sentence: StagedSentence) -> str:
    """The pronoun that is the subject of a sentence without another: "He looks up, then leaves"."""
    first = sentence.first_action
    is_led = first is not None and first.tokens[0].is_in("pronoun")
    return quoted(sentence.draft, first.tokens[:1]) if first is not None and is_led else ""
