"""The checks of the prompt report, one module for each subject. ``issues_of`` runs them all on one draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from engine.analysis.prompt.checks.camera_moves import check_camera_moves
from engine.analysis.prompt.checks.length import check_language, check_length
from engine.analysis.prompt.checks.markup import check_markup
from engine.analysis.prompt.checks.motion import check_actions, check_motion, check_static_share, check_vague_verbs
from engine.analysis.prompt.checks.pasted import check_absent_nouns, check_pasted, in_given
from engine.analysis.prompt.checks.settings import check_guidance, check_length_of_clip
from engine.analysis.prompt.checks.subject import check_subject, check_subject_place
from engine.analysis.prompt.checks.unwanted import check_negations, check_negative_prompt
from engine.analysis.prompt.checks.wording import (
    check_abstract_words,
    check_cuts,
    check_text_in_picture,
    check_transformations,
)
from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue, finding_table
from engine.api.prompt_report import Language, Span

Check = Callable[[Draft], Iterator[Issue]]

ON_GIVEN_TEXT: tuple[Check, ...] = (check_pasted, check_absent_nouns)  # their spans are places in the given text
ANY_LANGUAGE: tuple[Check, ...] = (
    check_length,
    check_language,
    check_markup,
    check_negative_prompt,
    check_length_of_clip,
    check_guidance,
)
ENGLISH_AND_CHINESE: tuple[Check, ...] = (
    check_subject,
    check_subject_place,
    check_motion,
    check_vague_verbs,
    check_actions,
    check_static_share,
    check_abstract_words,
    check_cuts,
    check_transformations,
    check_negations,
    check_camera_moves,
    check_text_in_picture,
)
_MOST_OF_A_KIND = 20  # issues of one check; more would bury the other findings


def issues_of(draft: Draft) -> list[Issue]:
    """All issues of a prompt in the order of the table; their spans are places in the given text."""
    checks = ANY_LANGUAGE if draft.language is Language.OTHER else ANY_LANGUAGE + ENGLISH_AND_CHINESE
    found = [in_given(draft, issue) for check in checks for issue in islice(check(draft), _MOST_OF_A_KIND)]
    found += [issue for check in ON_GIVEN_TEXT for issue in islice(check(draft), _MOST_OF_A_KIND)]
    order = {code: index for index, code in enumerate(finding_table())}
    return sorted(found, key=lambda issue: (order[issue.code], issue.span or Span(0, 0)))
