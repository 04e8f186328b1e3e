"""Splits a sentence into clauses: subject, actions in stages, environment, camera, style. By rules, without a model.

Not a full parse: what the rules cannot place counts as a description of the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.analysis.prompt.language import language_of
from engine.analysis.prompt.normalised_text import NormalisedText, normalise
from engine.analysis.prompt.parts import cut
from engine.analysis.prompt.phrase_parser import ParseState, Phrase, phrases_of
from engine.analysis.prompt.prompt_text import PromptText, read_prompt
from engine.analysis.prompt.tokens import Token, tokenise
from engine.analysis.prompt.vocabulary import NOUN_LISTS, SUBJECT_CLASSES
from engine.api.prompt_report import Clause, ClauseKind, Noun


def parse_clauses(prompt: str) -> tuple[Clause, ...]:
    """The clauses of a prompt, in order. Accepts any text; linear time.

    Spans are places in the prompt; texts are what the model is given there. Spans do not overlap, but for clauses in a
    piece of the prompt whose encoding was repaired: all of them stand in the place of the whole piece.
    """
    text = read_prompt(prompt)
    normalised = normalise(text.sentence)
    return in_prompt(clauses_of(text.sentence, normalised, tokenise(normalised)), text)


def in_prompt(clauses: Sequence[Clause], text: PromptText) -> tuple[Clause, ...]:
    """Clauses of the sentence with their places in the prompt."""
    return tuple(
        replace(
            clause,
            span=text.in_prompt(clause.span),
            nouns=tuple(replace(noun, span=text.in_prompt(noun.span)) for noun in clause.nouns),
        )
        for clause in clauses
    )


def clauses_of(text: str, normalised: NormalisedText, tokens: Sequence[Token]) -> tuple[Clause, ...]:
    """The clauses of a sentence from its normalised text and tokens."""
    phrases: list[Phrase] = []
    state = ParseState()
    for part in cut(tokens):
        added = phrases_of(part, state)
        state.add(added)
        phrases += added
    if not any(phrase.kind is ClauseKind.SUBJECT for phrase in phrases):
        phrases = _promote(phrases)
    clauses: list[Clause] = []
    tells_motion = any(phrase.kind is ClauseKind.ACTION and phrase.moves for phrase in phrases)
    stage, goes_on, has_moved, was_divided = 0, False, False, False
    for phrase in phrases:
        is_new = phrase.is_new_stage and not goes_on and (phrase.moves or not tells_motion)
        if phrase.kind is ClauseKind.ACTION and (
            stage == 0 or (is_new and (has_moved or not tells_motion)) or (phrase.is_divided and not was_divided)
        ):
            stage += 1  # a posture beside a motion is no stage of its own, unless a mark divides them
        if phrase.kind is ClauseKind.ACTION:
            was_divided = phrase.is_divided
        has_moved = has_moved or (phrase.kind is ClauseKind.ACTION and phrase.moves)
        goes_on = phrase.continues or (goes_on and phrase.kind is not ClauseKind.ACTION)
        clauses.append(_clause(text, normalised, phrase, stage if phrase.kind is ClauseKind.ACTION else 0))
    return tuple(clauses)


def _promote(phrases: list[Phrase]) -> list[Phrase]:
    """If only nature moves, the first moving thing becomes the subject: "waves roll to the shore".

    After an action of something that is not named ("walks away, the sun comes out") nature stays the environment.
    """
    for index, phrase in enumerate(phrases):
        if phrase.kind is ClauseKind.ACTION:
            return phrases
        if phrase.kind is ClauseKind.ENVIRONMENT and phrase.predicate:
            named, predicate = phrase.tokens[: phrase.predicate], phrase.tokens[phrase.predicate :]
            subject = replace(phrase, kind=ClauseKind.SUBJECT, tokens=named, moves=False)
            action = replace(phrase, kind=ClauseKind.ACTION, tokens=predicate, is_new_stage=True)
            return [*phrases[:index], subject, action, *phrases[index + 1 :]]
    return phrases


def _clause(text: str, normalised: NormalisedText, phrase: Phrase, stage: int) -> Clause:
    span = normalised.span(phrase.tokens[0].start, phrase.tokens[-1].end)
    nouns = tuple(_noun(text, normalised, token) for token in phrase.tokens if token.is_noun)
    language = language_of(phrase.tokens)
    return Clause(phrase.kind, span, text[span.start : span.end], language, stage, phrase.moves, nouns)


def _noun(text: str, normalised: NormalisedText, token: Token) -> Noun:
    span = normalised.span(token.start, token.end)
    classes = token.lists & NOUN_LISTS
    return Noun(span, text[span.start : span.end], next((name for name in SUBJECT_CLASSES if name in classes), "place"))
