"""Makes the sentences that are scored for each clause of a prompt.

A clause is judged if a still picture can show it: the subject, a place, and an action as far as the picture makes it
likely. Camera, style and changes with time are not judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.analysis.prompt.gaps import Gap
from engine.analysis.prompt.prompt_text import PromptText
from engine.analysis.prompt.sentence import read_sentence
from engine.api.prompt_report import Clause, ClauseKind, Language, Noun
from engine.bundle.scorer_spec import LanguageContrastSpec
from engine.matching.contrast import Contrasts

# What light and picture are called: said of every picture, so nothing that one shows and another does not.
_UNSEEN = frozenset(
    {"light", "lights", "lighting", "scene", "picture", "image", "光线", "光", "灯光", "画面", "天色", "镜头"}
)
_UNSEEN_CLASSES = frozenset({"place", "sky", "body", "worn"})
_DETERMINERS = frozenset(
    ("a", "an", "the", "his", "her", "its", "their", "my", "your", "our", "this", "that", "these", "those")
)
_MOST_OF_A_KIND = 8  # clauses that are judged
_MOST_THINGS = 16  # that are looked for
_PREPOSITION = re.compile(r"\b(?:in|on|at|of|with|under|near|behind|beside|wearing|holding)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, slots=True)
class Statement:
    """One judged clause and its sentences.

    For an action, ``text`` says that ``subject`` does it and ``base`` names the subject alone; ``other_base`` names the
    subject's bare noun, and ``others`` join that noun with each contrast action. These fields are empty for other
    kinds; ``base`` and ``other_base`` are empty too if the prompt names no subject.
    """

    clause: Clause
    text: str
    subject: Clause | None = None
    base: str = ""
    other_base: str = ""
    others: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All sentences of the statement."""
        return tuple(text for text in (self.text, self.base, self.other_base, *self.others) if text)


@dataclass(frozen=True, slots=True)
class Question:
    """The sentences that are scored for a prompt, with its clauses, the judged statements and the things it names.

    ``prompt`` is the description as a whole. Places in ``clauses`` are those of ``source.sentence``.
    """

    source: PromptText
    gaps: frozenset[Gap]
    prompt: str
    clauses: tuple[Clause, ...] = ()
    statements: tuple[Statement, ...] = ()
    things: tuple[tuple[Clause, Noun, str], ...] = ()  # each with the clause that names it and the sentence to ask

    @property
    def texts(self) -> list[str]:
        """All sentences to embed."""
        asked = [text for item in self.statements for text in item.texts]
        return [self.prompt, *asked, *(text for _, _, text in self.things)]


def question_of(prompt: str, contrasts: Contrasts) -> Question:
    """The question of a prompt; only the prompt as a whole if no clause can be judged."""
    sentence = read_sentence(prompt)
    whole = Question(sentence.source, sentence.gaps, sentence.source.description)
    if not contrasts.can_judge_clauses:
        return whole
    clauses = sentence.clauses
    statements = tuple(_first_of_each_kind(_statements(sentence.source.sentence, clauses, contrasts)))
    things = tuple(
        (clause, noun, contrasts.of(clause.language).spec.subject_template.format(_named_alone(clause, noun)))
        for clause in clauses
        for noun in things_of(clause)
    )[:_MOST_THINGS]
    return replace(whole, clauses=clauses, statements=statements, things=things) if statements else whole


def _statements(prompt: str, clauses: Sequence[Clause], contrasts: Contrasts) -> Iterator[Statement]:
    for clause in clauses:
        spec = contrasts.of(clause.language).spec
        if clause.kind is ClauseKind.SUBJECT:
            yield Statement(clause, spec.subject_template.format(clause.text))
        elif clause.kind is ClauseKind.ENVIRONMENT and is_visible_place(clause):
            yield Statement(clause, spec.scene_template.format(clause.text))
        elif clause.kind is ClauseKind.ACTION:
            yield _action(prompt, clauses, clause, spec)


def _first_of_each_kind(statements: Iterator[Statement]) -> Iterator[Statement]:
    """Limits the clauses of each kind: a prompt of hundreds of clauses must not cost hundreds of encoder runs."""
    counts: Counter[ClauseKind] = Counter()
    for statement in statements:
        counts[statement.clause.kind] += 1
        if counts[statement.clause.kind] <= _MOST_OF_A_KIND:
            yield statement


def _action(prompt: str, clauses: Sequence[Clause], clause: Clause, spec: LanguageContrastSpec) -> Statement:
    """The statement of an action.

    Contrast actions are joined to the bare noun, so that different prompts share those sentences in the cache.
    """
    subjects = [item for item in clauses if item.kind is ClauseKind.SUBJECT]
    before = [subject for subject in subjects if subject.span < clause.span]
    owner = before[-1] if before else next(iter(subjects), None)
    actions = prompt[_first_action(clauses, owner, clause).span.start : clause.span.end]
    if owner is None:
        return Statement(
            clause, _doing(spec, "", actions), others=tuple(_doing(spec, "", action) for action in spec.actions)
        )
    bare = _bare(owner)
    return Statement(
        clause,
        _doing(spec, owner.text, actions),
        owner,
        base=spec.subject_template.format(owner.text),
        other_base=spec.subject_template.format(bare),
        others=tuple(_doing(spec, bare, action) for action in spec.actions),
    )


def _first_action(clauses: Sequence[Clause], owner: Clause | None, last: Clause) -> Clause:
    """The first action of a subject.

    A later stage is scored together with those before it: the picture precedes them all.
    """
    start = owner.span.end if owner is not None and owner.span < last.span else 0
    actions = [item for item in clauses if item.kind is ClauseKind.ACTION and start <= item.span.start]
    return min((item for item in actions if item.span <= last.span), key=lambda item: item.span)


def _doing(spec: LanguageContrastSpec, subject: str, action: str) -> str:
    """A sentence that says that the subject does this; without a subject if that is empty."""
    return spec.subject_template.format(f"{subject}{spec.joint}{action}" if subject else action)


def _bare(subject: Clause) -> str:
    """The subject's noun without colour, number or clothes: "a red sailing boat" becomes "a sailing boat"."""
    things = [noun for noun in subject.nouns if noun.subject_class not in _UNSEEN_CLASSES and noun.subject_class]
    if not things:
        return subject.text
    if subject.language is not Language.ZH:  # a noun behind a preposition is something about the subject
        ends = [match.start() for match in _PREPOSITION.finditer(subject.text)]
        first = [noun for noun in things if all(noun.span.start - subject.span.start < end for end in ends)]
        things = first or things[:1]
    return _named_alone(subject, things[-1])


def is_visible_place(clause: Clause) -> bool:
    """True if an environment clause names something that a still picture can show."""
    return not clause.moves and any(noun.text.lower() not in _UNSEEN for noun in clause.nouns)


def things_of(clause: Clause) -> tuple[Noun, ...]:
    """Nouns of a clause that a picture may show or lack.

    In English a word counts only after a determiner, an adjective or a preposition: "sails" in "the boat sails to the
    left" does not count.
    """
    if clause.kind in {ClauseKind.CAMERA, ClauseKind.STYLE}:
        return ()
    things = [noun for noun in clause.nouns if noun.subject_class not in _UNSEEN_CLASSES and noun.subject_class]
    if clause.kind is ClauseKind.ACTION and clause.language is not Language.ZH:
        things = [noun for noun in things if _is_introduced(clause, noun)]
    return tuple(noun for noun in things if noun.text.lower() not in _UNSEEN)


def _named_alone(clause: Clause, noun: Noun) -> str:
    """A noun with its article."""
    is_plural = noun.text.lower().endswith("s") and not noun.text.lower().endswith("ss")
    if clause.language is Language.ZH or is_plural:
        return noun.text
    return f"{'an' if noun.text[0].lower() in 'aeiou' else 'a'} {noun.text}"


def _is_introduced(clause: Clause, noun: Noun) -> bool:
    before = _WORD.findall(clause.text[: noun.span.start - clause.span.start].lower())
    return any(word in _DETERMINERS for word in before[-3:])
