"""A sentence by the roles of its pieces: those that hold for all stages, and those of one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.stages.pieces import Piece, is_over
from engine.api.prompt_report import ClauseKind

_TIMES = "W22"  # the finding of points in time and numbered shots


@dataclass(frozen=True, slots=True)
class StagedSentence:
    """Pieces are in the order of the sentence.

    ``lead``: those before the first action that hold for all stages. ``tail``: those after it that do. ``staged``: the
    others, each with its stage. ``is_order``: the sentence was an order, "make the cat jump".
    """

    draft: Draft
    lead: tuple[Piece, ...]
    staged: tuple[Piece, ...]
    tail: tuple[Piece, ...]
    is_order: bool = False

    @property
    def stage_count(self) -> int:
        """Number of stages, 0 without an action."""
        return max((piece.stage for piece in self.staged), default=0)

    @property
    def first_action(self) -> Piece | None:
        """The action of the first stage."""
        return next((piece for piece in self.staged if piece.acts and not piece.is_aside), None)

    @property
    def main_subject(self) -> Piece | None:
        """The subject of the first action, or what else is named first."""
        own = None if self.first_action is None else self.subject_of(self.first_action)
        return own or next((piece for piece in self.lead if piece.has(ClauseKind.SUBJECT)), None)

    def subject_of(self, piece: Piece) -> Piece | None:
        """The piece that names the subject of an action right before it; None if it names none."""
        before = [item for item in (*self.lead, *self.staged) if item.tokens[0].start < piece.tokens[0].start]
        nearest = max(before, key=lambda item: item.tokens[0].start, default=None)
        leads = nearest is not None and nearest.has(ClauseKind.SUBJECT) and not nearest.acts
        return nearest if leads and not piece.follows_mark else None


def staged_sentence(draft: Draft, pieces: Sequence[Piece]) -> StagedSentence:
    """Finds which pieces hold for the whole sentence.

    Before the first action: subject and surroundings. After the last event: what does not move. Style anywhere. A
    change of the surroundings belongs to its stage, and in a text with times or shots everything does.
    """
    first = next((index for index, piece in enumerate(pieces) if piece.acts and not piece.is_aside), len(pieces))
    begins_earlier = first < len(pieces) and pieces[first].stage > 1  # with something that is no action
    last = max((index for index, piece in enumerate(pieces) if piece.acts or _happens(piece)), default=0)
    is_divided = any(mark.divides and mark.code == _TIMES for mark in draft.source.marks)
    lead: list[Piece] = []
    staged: list[Piece] = []
    tail: list[Piece] = []
    for index, piece in enumerate(pieces):
        is_camera = piece.has(ClauseKind.CAMERA) and not piece.has(ClauseKind.SUBJECT)
        passes = is_over(piece) or piece.is_aside or piece.comes_first or (is_camera and is_divided)
        is_subject = piece.has(ClauseKind.SUBJECT)
        is_event = begins_earlier and (piece.stage > 1 if is_subject else piece.has_verb)
        if index < first and not passes and not is_event:
            lead.append(piece)
        elif index > first and (piece.is_style or (index > last and not is_divided and not piece.is_ordered)):
            tail.append(piece)
        else:
            staged.append(replace(piece, stage=max(piece.stage, 1)))
    numbers = {stage: number for number, stage in enumerate(sorted({1, *(piece.stage for piece in staged)}), 1)}
    counted = tuple(replace(piece, stage=numbers[piece.stage]) for piece in staged)
    return StagedSentence(draft, tuple(lead), counted, tuple(tail))


def _happens(piece: Piece) -> bool:
    """True for an event that is no action: a moving part of the surroundings, a camera move in order, a cut."""
    is_cut = any(token.is_in("cut") for token in piece.tokens)
    return is_cut or (piece.moves and (piece.is_ordered or not piece.has(ClauseKind.CAMERA)))
