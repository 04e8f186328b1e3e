"""Cuts a sentence into pieces, and gives each the stage that it belongs to.

A piece is a subject, one action, or a part about environment, camera or style, in the words of the sentence. Order words
("first", "then", "然后") stand between pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.phrases import Part, is_verb
from engine.analysis.prompt.prompt_text import DIVIDER
from engine.analysis.prompt.tokens import MARK, Token, tokenise
from engine.analysis.prompt.vocabulary import BASE, ING, SUBJECT_CLASSES
from engine.api.prompt_report import Clause, ClauseKind

# Of the words that order actions, those that tie two of them together; "after the rain" comes first wherever it stands.
_TYING = frozenset({"after", "when", "once"})
_OPENING = frozenset({"first", "firstly", "at first", "先", "首先", "先是"})
_BEFORE_IT = frozenset({"before", "until"})  # at the start of a sentence they turn the order round
_ORDINALS = frozenset("second secondly third thirdly fourth fourthly fifth fifthly next last".split())
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
        others = any(token.forms for token in self.tokens[1:])
        return self.follows_mark and first.is_in("adjective") and first.forms == {BASE} and not others

    @property
    def tells(self) -> bool:
        """True if it holds a verb."""
        return any(token.forms or is_verb(token) for token in self.tokens)

    @property
    def moves(self) -> bool:
        """True for something that changes with time."""
        return any(clause.moves for clause in self.clauses) and not self.is_style

    @property
    def is_style(self) -> bool:
        """True for style alone, also for "cinematic lighting", which looks like an action."""
        if self.clauses and all(clause.kind is ClauseKind.STYLE for clause in self.clauses):
            return True
        has_thing = any(not token.lists.isdisjoint(_THINGS) for token in self.tokens)
        is_finite = any(token.forms and token.forms != {ING} for token in self.tokens)
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


def pieces_of(draft: Draft) -> tuple[Piece, ...]:
    """The pieces of a sentence in order, with their stages."""
    return _numbered(list(_pieces(draft)))


def _pieces(draft: Draft) -> Iterator[Piece]:
    tokens = tokenise(draft.normalised)
    places = {token.start: index for index, token in enumerate(tokens)}
    done = 0
    for part in draft.parts:
        for words, clauses in _split(draft, part):
            if all(token.text in _ORDINALS for token in words):
                continue  # "second: …"
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
    clauses = [clause for clause in draft.clauses if starts[0] <= clause.span.start < end]
    cuts = [0]
    for index, clause in enumerate(clauses):
        if index and clause.kind is ClauseKind.ACTION and clause.span.start in starts:
            place = starts.index(clause.span.start)
            if not (words[place].is_in("aspect") and is_verb(words[place - 1])):  # 跑 | 开
                cuts.append(place)
    for start, stop in zip(cuts, [*cuts[1:], len(words)], strict=True):
        upto = starts[stop] if stop < len(words) else end
        yield words[start:stop], [clause for clause in clauses if starts[start] <= clause.span.start < upto]


@dataclass(slots=True)
class _Count:
    """The stage that is reached. ``told``: the highest stage of the clauses so far; ``is_fresh``: it has no action yet;
    ``tells``: a verb has stood in a piece.

    ``tie`` is 1 inside a clause such as "as the sun sets," that opens a sentence, and 2 after it: the next action
    belongs to the same stage.
    """

    stage: int = 0
    told: int = 0
    is_fresh: bool = False
    tie: int = 0
    tells: bool = False

    def add(self, piece: Piece, is_ordered: bool, is_tied: bool, opens: bool, is_divided: bool) -> Piece:
        """Counts one more piece, and gives it its stage."""
        own = max((clause.stage for clause in piece.clauses if piece.acts), default=0)
        if opens:
            turned = any(token.text in _BEFORE_IT for token in piece.before)
            self.tie = 1 if is_tied or turned else 0
        elif self.tie == 1 and piece.follows_mark:
            self.tie = 2
        if is_divided:
            begins = True
        elif piece.acts:
            counts = is_ordered or (own > self.told and not (is_tied and not opens))
            begins = self.stage == 0 or (counts and self.tie < 2 and not self.is_fresh)
        else:
            begins = piece.moves and is_ordered and self.stage > 0
        if begins and self.stage == 0 and is_ordered and self.tells and not is_divided:
            self.stage = 1  # what stands before the first action is a stage: "the street is empty, then cars arrive"
        self.stage += begins
        self.tells = self.tells or (piece.tells and self.tie != 1)
        self.is_fresh = (begins or self.is_fresh) and not piece.acts
        self.told = max(self.told, own)
        if piece.acts and self.tie == 2:
            self.tie = 0
        return replace(piece, stage=self.stage, is_aside=self.tie == 1)


def _numbered(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Gives every piece the stage in which it stands; those before the first action have 0."""
    count = _Count()
    numbered: list[Piece] = []
    subject: Piece | None = None  # stands right before the piece
    was_divided = False
    for piece in pieces:
        was_divided = was_divided or piece.is_divided
        divides = was_divided and bool(piece.clauses) and not piece.is_style
        led = [piece, subject] if subject is not None and not piece.follows_mark else [piece]
        is_ordered, is_tied = any(item.is_ordered for item in led), any(item.is_tied for item in led)
        opens = not numbered or piece.begins_sentence or piece.is_ordered
        numbered.append(count.add(piece, is_ordered, is_tied, opens, divides))
        was_divided = was_divided and not divides
        subject = None if piece.acts else piece
    return tuple(_with_subjects(numbered))


def _with_subjects(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Moves a subject into the stage of the action that follows it without punctuation."""
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        leads = following is not None and following.acts and not following.follows_mark and not piece.acts
        if leads and following is not None and piece.stage < following.stage:
            yield replace(piece, stage=following.stage)
        else:
            yield piece


def is_over(piece: Piece) -> bool:
    """True for a change of the surroundings that does not last: "the light fades", but not "rain falls"."""
    return piece.moves and any(token.is_in(*_ENDED) and not token.is_noun for token in piece.tokens)
