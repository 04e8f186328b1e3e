"""Cuts a sentence into pieces.

A piece is a subject, one action, or a part about environment, camera or style, in the words of the sentence. Words that
only order ("first", "then", "然后") stand between pieces.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.phrases import Part, is_verb
from engine.analysis.prompt.prompt_text import DIVIDER
from engine.analysis.prompt.tokens import HAN, LATIN, MARK, Token, tokenise
from engine.analysis.prompt.vocabulary import BASE, PAST, SUBJECT_CLASSES, THIRD
from engine.api.prompt_report import Clause, ClauseKind

# Of the words that order actions, those that tie two of them together; "after the rain" comes first wherever it stands.
_TYING = frozenset({"after", "when", "once"})
_OPENING = frozenset({"first", "firstly", "at first", "先", "首先", "先是"})
TURNING = frozenset({"before", "until"})  # at the start of a sentence they turn the order round
_ORDINALS = frozenset({"second", "secondly", "third", "thirdly", "fourth", "fourthly", "fifth", "next", "last"})
_STOPS = frozenset(".!?。;")
_THINGS = frozenset(SUBJECT_CLASSES) - {"sky"}
_ENDED = ("change", "transform", "motion")  # verbs of a change that is over when its stage is


@dataclass(frozen=True, slots=True)
class Piece:
    """``tokens`` are its words, ``before`` the words and marks between the piece before and this one.

    ``stage`` counts from 1; 0: the piece stands before the first action. ``is_aside``: it belongs to a clause such as
    "as the sun sets," that opens a sentence.
    """

    tokens: tuple[Token, ...]
    before: tuple[Token, ...]
    clauses: tuple[Clause, ...]
    stage: int = 0
    is_aside: bool = False

    def has(self, *kinds: ClauseKind) -> bool:
        """True if a clause is of one of these kinds."""
        return any(clause.kind in kinds for clause in self.clauses)

    @property
    def acts(self) -> bool:
        """True for an action."""
        return self.has(ClauseKind.ACTION) and not self.is_style and not self._is_named

    @property
    def _is_named(self) -> bool:
        """True for a thing that looks like an order: "warm indoor light"."""
        first = self.tokens[0]
        others = any(token.forms and not token.is_noun for token in self.tokens[1:])
        return self.follows_mark and first.is_in("adjective") and first.forms == {BASE} and not others

    @property
    def has_verb(self) -> bool:
        """True if it holds a verb."""
        return any(token.forms or is_verb(token) for token in self.tokens)

    @property
    def moves(self) -> bool:
        """True for something that changes with time."""
        return any(clause.moves for clause in self.clauses) and not (self.is_style or self._is_named)

    @property
    def is_style(self) -> bool:
        """True for style alone, also for "cinematic lighting", which looks like an action."""
        if self.clauses and all(clause.kind is ClauseKind.STYLE for clause in self.clauses):
            return True
        has_thing = any(not token.lists.isdisjoint(_THINGS) for token in self.tokens)
        is_finite = any(token.forms & {THIRD, PAST} for token in self.tokens)
        return not has_thing and not is_finite and any(token.is_in("style", "quality") for token in self.tokens)

    @property
    def is_pronoun(self) -> bool:
        """True for nothing but a pronoun: "she", "他"."""
        return bool(self.tokens) and all(token.is_in("pronoun") for token in self.tokens)

    @property
    def is_divided(self) -> bool:
        """True if a mark of time, a number of a list or an arrow stands before it."""
        return any(token.text == DIVIDER for token in self.before)

    @property
    def follows_mark(self) -> bool:
        """True if punctuation stands before it."""
        return any(token.script == MARK and token.text not in "\"'“”„«»()" for token in self.before)

    @property
    def begins_sentence(self) -> bool:
        """True at the beginning, and after a stop or a divider."""
        return self.is_divided or any(token.text in _STOPS for token in self.before)

    @property
    def is_ordered(self) -> bool:
        """True if a word such as "then" introduces it."""
        words = [token for token in self.before if is_order_word(token)]
        return any(token.text not in _OPENING for token in words)

    @property
    def is_tied(self) -> bool:
        """True if a word such as "while" or "when" introduces it."""
        return any(map(is_tie, self.before))

    @property
    def comes_first(self) -> bool:
        """True for what is over when the next action begins, or goes along with that: "as the sun sets", "雨停之后"."""
        return (self.is_tied and self.moves) or self.tokens[-1].is_in("sequence")


def is_order_word(token: Token) -> bool:
    """True for a word that says nothing but the order: "first", "then", "最后"."""
    return token.is_in("sequence") and token.text not in _TYING


def is_tie(token: Token) -> bool:
    """True for a word that ties an action to another: "while", "when", "同时"."""
    return token.is_in("together") or token.text in _TYING


def cut_pieces(draft: Draft) -> Iterator[Piece]:
    """The pieces of a sentence in order, without their stages."""
    tokens = tokenise(draft.normalised)
    places = {token.start: index for index, token in enumerate(tokens)}
    done = 0
    for part in draft.parts:
        for words, clauses in _split(draft, part):
            if all(token.text in _ORDINALS for token in words) or words[0].text == "第":
                continue  # "second: …", "第二，…"
            first, last = places[words[0].start], places[words[-1].start]
            yield Piece(tuple(words), tokens[done:first], tuple(clauses))
            done = last + 1


def _split(draft: Draft, part: Part) -> Iterator[tuple[Sequence[Token], Sequence[Clause]]]:
    """The words of a part, cut before each action, with their clauses; without what only leads in."""
    words = list(part.tokens)
    is_first = part is draft.parts[0]
    while words and words[0].is_in("order", "ask", "depicted") and not words[0].is_noun:
        if words[0].is_in("coverb") and not is_first:
            break
        words = words[2:] if len(words) > 1 and words[1].text == "of" else words[1:]
    while words and words[-1].is_in("ask"):
        words = words[:-1]
    if not words:
        return
    starts = [draft.normalised.starts[token.start] for token in words]
    end = draft.normalised.ends[words[-1].end - 1]
    first, last = (bisect_left(draft.clauses, place, key=_start_of) for place in (starts[0], end))
    clauses = draft.clauses[first:last]
    cuts = [(0, 0)]  # of the words, and of their clauses
    for index, clause in enumerate(clauses):
        if index and clause.kind is ClauseKind.ACTION and clause.span.start in starts:
            place = _cut_before(words, starts.index(clause.span.start), cuts[-1][0])
            cuts += [(_after_noun(words, place), index)] if place else []
    for (start, first), (stop, last) in zip(cuts, [*cuts[1:], (len(words), len(clauses))], strict=True):
        yield words[start:stop], clauses[first:last]


def _start_of(clause: Clause) -> int:
    return clause.span.start


def _cut_before(words: Sequence[Token], verb: int, earliest: int) -> int:
    """Where an action is cut off from what stands before it; 0 for nowhere.

    In Chinese before its phrase of direction, and not between two verbs that follow each other, which may be one word
    or one action: "闭眼演奏".
    """
    if words[verb].script != HAN:
        return verb
    earlier = words[earliest:verb]
    if any(map(is_verb, earlier)):
        if len(words[verb].text) == 1 or words[verb - 1].is_in("aspect") or is_verb(words[verb - 1]):
            return 0
        after_verb = max(index for index in range(earliest, verb) if is_verb(words[index])) + 1
        for index in range(after_verb, verb):
            if words[index].is_in("coverb", "direction", "adverb") and not words[index].is_in("aspect"):
                return index
    return verb


def _after_noun(words: Sequence[Token], verb: int) -> int:
    """Where the subject ends if what was taken for a verb is its noun: "with weathered hands | slowly casts"."""
    before, is_verb_later = words[verb - 1], any(THIRD in token.forms for token in words[verb + 1 :])
    is_open = before.is_in("adjective", "determiner", "possessive") or (not before.lists and before.text.endswith("ed"))
    return verb + 1 if words[verb].is_noun and words[verb].script == LATIN and is_open and is_verb_later else verb


def is_over(piece: Piece) -> bool:
    """True for a change of the surroundings that does not last: "the light fades", but not "rain falls"."""
    return piece.moves and any(token.is_in(*_ENDED) and not token.is_noun for token in piece.tokens)
