"""Chooses an example of a motion that suits the subject of a prompt."""

from __future__ import annotations

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import example_motions
from engine.api.prompt_report import ClauseKind, Language


def example_for(draft: Draft) -> str:
    """A motion for the class of the prompt's subject, in the prompt's language.

    Without a subject: a person's motion.
    """
    examples = example_motions()
    nouns = [noun for clause in draft.clauses if clause.kind is ClauseKind.SUBJECT for noun in clause.nouns]
    nouns += [noun for clause in draft.clauses for noun in clause.nouns]
    subject_class = next((noun.subject_class for noun in nouns if noun.subject_class in examples), "person")
    return examples[subject_class][Language.ZH if draft.language is Language.ZH else Language.EN]
