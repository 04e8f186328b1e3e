"""Turns embeddings into the match report: clauses, score, grounding, missing nouns. Runs no graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.api.match_report import ClauseScore, Grounding, MatchBasis, MatchReport, Placing
from engine.api.prompt_report import Clause, ClauseKind, Language, Noun
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.contrast import Contrasts, Logits, log_mean_exp
from engine.matching.embedding import PictureEmbedding, Vectors
from engine.matching.grounding import Map, clutter_of, grounding_of, heat_of, patches_near, presence_of
from engine.matching.score import WEIGHTS, combined_score, logistic, report_of, score_limit, verdict_of
from engine.matching.statements import Question, Statement
from engine.media.cropping import Size, propose_crops

_NOUN_PENALTY = 2.0  # what an action loses of its margin for each thing that it needs and the picture does not show
_THERE = 0.5  # probability of a clause from which what it names counts as seen


class Judge:
    """Judges one picture against one question. ``texts`` holds the embeddings of all sentences of the question."""

    def __init__(
        self,
        spec: ScorerSpec,
        contrasts: Contrasts,
        question: Question,
        image: PictureEmbedding,
        texts: Mapping[str, Vectors],
    ) -> None:
        self._spec, self._contrasts, self._question = spec, contrasts, question
        self._image, self._texts = image, texts
        self._backgrounds: dict[Language, Logits] = {}

    def report(self, width_px: int, height_px: int, sizes: Sequence[Size]) -> MatchReport:
        """The report on a picture of this size in pixels, with a crop for each of ``sizes``."""
        similarity, contrast = self._whole()
        spec = self._spec
        limit = score_limit(self._question.gaps, spec.verdicts.good_score, spec.verdicts.doubtful_score)
        if not self._question.statements:
            return report_of(
                similarity, contrast, spec.slope, spec.offset, is_calibrated=spec.is_calibrated, limit=limit
            )
        absent = [(clause, noun) for clause, noun, text in self._question.things if not self._shows(clause, text)]
        scored = self._scored(absent)
        score = min(combined_score(scored), limit)
        actions = [item.probability for item in scored if item.kind is ClauseKind.ACTION]
        grounding = self._grounding(width_px, height_px)
        return MatchReport(
            score,
            verdict_of(score, spec.verdicts.good_score, spec.verdicts.doubtful_score),
            similarity,
            contrast,
            MatchBasis.CALIBRATED if spec.calibration is not None else MatchBasis.UNCALIBRATED,
            clauses=tuple(replace(item, span=self._question.source.in_prompt(item.span)) for item in scored),
            plausibility=min((item for item in actions if item is not None), default=None),
            calibration_error=None if spec.calibration is None else spec.calibration.expected_calibration_error,
            grounding=grounding,
            placing=self._placing(grounding if _is_found(scored) else None, width_px, height_px),
            missing_nouns=tuple(
                replace(noun, span=self._question.source.in_prompt(noun.span))
                for noun in _missing(scored, self._question.clauses, absent)
            ),
            crops=propose_crops(width_px, height_px, grounding, sizes),
        )

    def _whole(self) -> tuple[float, float]:
        """Cosine and margin of the whole prompt."""
        text, image = self._texts[self._question.prompt], self._image.whole
        return float(image @ text), self._contrasts.margin(image, text, self._contrasts.sentences)

    def _grounding(self, width_px: int, height_px: int) -> Grounding | None:
        """Grounding of the first subject; None for a prompt without a subject."""
        for statement in self._question.statements:
            if statement.clause.kind is ClauseKind.SUBJECT:
                return grounding_of(self._heat(statement.text, statement.clause.language), width_px, height_px)
        return None

    def _placing(self, grounding: Grounding | None, width_px: int, height_px: int) -> Placing:
        """The place of the main thing: of the subject, or else of what looks most like one of the contrast subjects."""
        language = self._question.statements[0].clause.language
        logits = self._contrasts.logits(self._image.patches, self._contrasts.of(language).subjects).max(axis=1)
        margins = logits - self._background(language)
        if grounding is None or grounding.box is None:
            spec = self._spec.grounding
            grounding = grounding_of(heat_of(margins, spec.slope, spec.offset), width_px, height_px)
        if grounding.box is None:
            return Placing(0.0, 0.0, 0.0)
        outside = ~patches_near(grounding.box, width_px, height_px, len(margins))
        return Placing(grounding.coverage, grounding.center_offset, clutter_of(margins[outside]))

    def _margin(self, statement: Statement) -> float:
        """Margin of a statement against the contrast set of its kind."""
        text, image = self._texts[statement.text], self._image.whole
        sets = self._contrasts.of(statement.clause.language)
        match statement.clause.kind:
            case ClauseKind.ACTION:
                return self._gain_margin(statement)
            case ClauseKind.ENVIRONMENT:
                return self._contrasts.margin(image, text, sets.scenes)
            case _:
                return self._contrasts.margin(image, text, sets.subjects)

    def _gain_margin(self, statement: Statement) -> float:
        """Margin of an action's gain against those of the contrast actions: Δ = z(subject and action) − z(subject)."""
        asked = np.stack([self._texts[text] for text in statement.texts])
        logits = self._contrasts.logits(self._image.whole, asked)
        if statement.subject is None:
            return float(logits[0] - log_mean_exp(logits[1:]))
        own, base, other_base, others = logits[0], logits[1], logits[2], logits[3:]
        return float(own - base - log_mean_exp(others - other_base))

    def _scored(self, absent: Sequence[tuple[Clause, Noun]]) -> tuple[ClauseScore, ...]:
        statements = self._question.statements
        counts = Counter(item.clause.kind for item in statements)
        margins = [self._margin(item) - _NOUN_PENALTY * _lacks(item, absent) for item in statements]
        chances = [self._probability(item.clause, margin) for item, margin in zip(statements, margins, strict=True)]
        by_span = {item.clause.span: index for index, item in enumerate(statements)}
        scored = []
        for clause in self._question.clauses:
            index = by_span.get(clause.span)
            owner = statements[index].subject if index is not None else None
            gate = by_span.get(owner.span) if owner is not None else None
            scored.append(
                ClauseScore(
                    kind=clause.kind,
                    span=clause.span,
                    text=clause.text,
                    language=clause.language,
                    stage=clause.stage,
                    contrast=None if index is None else margins[index],
                    probability=None if index is None else chances[index],
                    gated_probability=None
                    if index is None
                    else chances[index] * (1.0 if gate is None else chances[gate]),
                    weight=0.0 if index is None else WEIGHTS[clause.kind] / counts[clause.kind],
                )
            )
        return tuple(scored)

    def _probability(self, clause: Clause, margin: float) -> float:
        calibration = self._spec.calibration
        for item in calibration.clauses if calibration is not None else ():
            if (item.kind, item.language) == (clause.kind.value, self._language(clause).value):
                return logistic(margin, item.slope, item.offset)
        return logistic(margin, 1.0, 0.0)

    def _language(self, clause: Clause) -> Language:
        return Language(self._contrasts.of(clause.language).spec.language)

    def _heat(self, text: str, language: Language) -> Map:
        """Heat of a sentence over the patches, against scenes as backgrounds."""
        logits = self._contrasts.logits(self._image.patches, self._texts[text][None])[:, 0]
        return heat_of(logits - self._background(language), self._spec.grounding.slope, self._spec.grounding.offset)

    def _background(self, language: Language) -> Logits:
        """Level of the scenes in each patch, [patches]."""
        patches, contrasts = self._image.patches, self._contrasts
        if language not in self._backgrounds:
            self._backgrounds[language] = log_mean_exp(contrasts.logits(patches, contrasts.of(language).scenes))
        return self._backgrounds[language]

    def _shows(self, clause: Clause, text: str) -> bool:
        """True if the picture as a whole, or some of its patches, show a thing."""
        sets = self._contrasts.of(clause.language)
        margin = self._contrasts.margin(self._image.whole, self._texts[text], sets.subjects)
        if logistic(margin, 1.0, 0.0) >= _THERE:
            return True
        return presence_of(self._heat(text, clause.language)) >= self._spec.grounding.absent_below


def _lacks(statement: Statement, absent: Sequence[tuple[Clause, Noun]]) -> int:
    """The number of things that an action needs and the picture does not show."""
    return sum(clause == statement.clause for clause, _ in absent) if statement.clause.kind is ClauseKind.ACTION else 0


def _is_found(scored: Sequence[ClauseScore]) -> bool:
    """True if the picture shows the first subject of the sentence."""
    chances = [item.probability for item in scored if item.kind is ClauseKind.SUBJECT and item.probability is not None]
    return bool(chances) and chances[0] >= _THERE


def _missing(
    scored: Sequence[ClauseScore], clauses: Sequence[Clause], absent: Sequence[tuple[Clause, Noun]]
) -> Iterator[Noun]:
    """Nouns that the picture does not show, and places of environment clauses that do not fit the picture."""
    nowhere = {noun.span for _, noun in absent}
    for item, clause in zip(scored, clauses, strict=True):
        is_wrong_place = (
            clause.kind is ClauseKind.ENVIRONMENT and item.probability is not None and item.probability < _THERE
        )
        for noun in clause.nouns:
            if noun.span in nowhere or (is_wrong_place and noun.subject_class in {"place", "sky"}):
                yield noun
