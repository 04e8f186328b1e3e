"""What is asked about each clause of a sentence. Knows clauses and templates; knows no picture.

A clause can be judged where a still picture can show it: the subject, a place, and an action as far as the picture
makes it likely. Camera, style and changes with time cannot be seen and are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.bundle import LanguageContrastSpec
from engine.prompting import Clause, ClauseKind, Language, Noun, parse_clauses
from engine.scoring.contrast import Contrasts

# What light and picture are called: said of every picture, so nothing that one shows and another does not.
_UNSEEN = frozenset(
    {"light", "lights", "lighting", "scene", "picture", "image", "光线", "光", "灯光", "画面", "天色", "镜头"}
)
_UNSEEN_CLASSES = frozenset({"place", "sky", "body", "worn"})
_DETERMINERS = frozenset(
    ("a", "an", "the", "his", "her", "its", "their", "my", "your", "our", "this", "that", "these", "those")
)
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, slots=True)
class Statement:
    """One judged clause: ``text`` is asked, and ``others`` beside it where they depend on the sentence.

    ``subject`` is the clause whose action it is, None for other kinds and where nobody is named.
    """

    clause: Clause
    text: str
    others: tuple[str, ...] = ()
    subject: Clause | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """All that is asked about a sentence: its clauses, the statements of those that can be judged, and its things."""

    prompt: str
    clauses: tuple[Clause, ...] = ()
    statements: tuple[Statement, ...] = ()
    things: tuple[tuple[Clause, Noun, str], ...] = ()  # each with the clause that names it and the sentence to ask

    @property
    def texts(self) -> list[str]:
        """Every sentence that must be embedded."""
        asked = [text for item in self.statements for text in (item.text, *item.others)]
        return [self.prompt, *asked, *(text for _, _, text in self.things)]


def question_of(prompt: str, contrasts: Contrasts) -> Question:
    """What is asked about a sentence; the sentence as a whole where no clause of it can be judged."""
    if not contrasts.can_judge_clauses:
        return Question(prompt)
    clauses = parse_clauses(prompt)
    statements = tuple(_statements(prompt, clauses, contrasts))
    things = tuple(
        (clause, noun, contrasts.of(clause.language).spec.subject_template.format(_named_alone(clause, noun)))
        for clause in clauses
        for noun in things_of(clause)
    )
    return Question(prompt, clauses, statements, things) if statements else Question(prompt)


def _statements(prompt: str, clauses: Sequence[Clause], contrasts: Contrasts) -> Iterator[Statement]:
    subjects = [clause for clause in clauses if clause.kind is ClauseKind.SUBJECT]
    for clause in clauses:
        spec = contrasts.of(clause.language).spec
        if clause.kind is ClauseKind.SUBJECT:
            yield Statement(clause, spec.subject_template.format(clause.text))
        elif clause.kind is ClauseKind.ENVIRONMENT and is_visible_place(clause):
            yield Statement(clause, spec.scene_template.format(clause.text))
        elif clause.kind is ClauseKind.ACTION:
            before = [subject for subject in subjects if subject.span < clause.span]
            owner = before[-1] if before else next(iter(subjects), None)
            named = None if owner is None else owner.text
            told = prompt[_first_action(clauses, owner, clause).span.start : clause.span.end]
            text, *others = (doing(spec, named, action) for action in (told, *spec.actions))
            yield Statement(clause, text, tuple(others), owner)


def _first_action(clauses: Sequence[Clause], owner: Clause | None, last: Clause) -> Clause:
    """Where the actions of a subject begin: a later stage is asked with those before it, which the picture precedes."""
    start = owner.span.end if owner is not None and owner.span < last.span else 0
    actions = [item for item in clauses if item.kind is ClauseKind.ACTION and start <= item.span.start]
    return min((item for item in actions if item.span <= last.span), key=lambda item: item.span)


def doing(spec: LanguageContrastSpec, subject: str | None, action: str) -> str:
    """A sentence that says that the subject does this; of nobody in particular where there is none."""
    return spec.subject_template.format(f"{subject}{spec.joint}{action}" if subject else action)


def is_visible_place(clause: Clause) -> bool:
    """Whether a clause about the environment names something that a still picture can show."""
    return not clause.moves and any(noun.text.lower() not in _UNSEEN for noun in clause.nouns)


def things_of(clause: Clause) -> tuple[Noun, ...]:
    """Nouns of a clause that stand for things which a picture shows or does not show.

    In English a word counts only behind a determiner, an adjective or a preposition: "sails" in "the boat sails to the
    left" is none.
    """
    if clause.kind in {ClauseKind.CAMERA, ClauseKind.STYLE}:
        return ()
    things = [noun for noun in clause.nouns if noun.subject_class not in _UNSEEN_CLASSES and noun.subject_class]
    if clause.kind is ClauseKind.ACTION and clause.language is not Language.ZH:
        things = [noun for noun in things if _is_introduced(clause, noun)]
    return tuple(noun for noun in things if noun.text.lower() not in _UNSEEN)


def _named_alone(clause: Clause, noun: Noun) -> str:
    """A noun as a sentence names one thing of it."""
    is_plural = noun.text.lower().endswith("s") and not noun.text.lower().endswith("ss")
    if clause.language is Language.ZH or is_plural:
        return noun.text
    return f"{'an' if noun.text[0].lower() in 'aeiou' else 'a'} {noun.text}"


def _is_introduced(clause: Clause, noun: Noun) -> bool:
    before = _WORD.findall(clause.text[: noun.span.start - clause.span.start].lower())
    return any(word in _DETERMINERS for word in before[-3:])
