"""Counts the stages of a sentence: which of its pieces begins one.

A stage begins with an action that the clauses count as a further one, with a word such as "then", and with a mark of
time, a number of a list or an arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.analysis.prompt.stages.pieces import TURNING, Piece


@dataclass(slots=True)
class _Count:
    """The stage that is reached, and what its pieces were.

    ``clause_stage``: the highest stage of the clauses so far; ``is_fresh``: the stage has no action yet; ``has_verb``:
    a verb has stood in a piece. ``tie`` is 1 inside a clause such as "as the sun sets," that opens a sentence, and 2
    after it: the next action belongs to the same stage.
    """

    stage: int = 0
    clause_stage: int = 0
    is_fresh: bool = False
    tie: int = 0
    has_verb: bool = False

    def add(self, piece: Piece, is_ordered: bool, is_tied: bool, opens: bool, is_divided: bool) -> Piece:
        """Counts one more piece, and gives it its stage."""
        own = max((clause.stage for clause in piece.clauses if piece.acts), default=0)
        if opens:
            turned = any(token.text in TURNING for token in piece.before)
            self.tie = 1 if is_tied or turned else 0
        elif self.tie == 1 and piece.follows_mark:
            self.tie = 2
        if is_divided:
            begins = True
        elif piece.acts:
            counts = is_ordered or (own > self.clause_stage and not (is_tied and not opens))
            begins = self.stage == 0 or (counts and self.tie < 2 and (is_ordered or not self.is_fresh))
        else:
            begins = piece.moves and is_ordered and self.stage > 0
        if begins and self.stage == 0 and is_ordered and self.has_verb and not is_divided:
            self.stage = 1  # what stands before the first action is a stage: "the street is empty, then cars arrive"
        self.stage += begins
        self.has_verb = self.has_verb or (piece.has_verb and self.tie != 1)
        self.is_fresh = (begins or self.is_fresh) and not piece.acts
        self.clause_stage = max(self.clause_stage, own)
        if piece.acts and self.tie == 2:
            self.tie = 0
        return replace(piece, stage=self.stage, is_aside=self.tie == 1)


def number_pieces(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
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
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        leads = following is not None and following.acts and not following.follows_mark and not piece.acts
        if leads and following is not None and piece.stage < following.stage:
            yield replace(piece, stage=following.stage)
        else:
            yield piece
