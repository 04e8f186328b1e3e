"""The checks of the prompt report, one module for each subject. Each check yields issues for one draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.analysis.prompt.checks.camera_moves import check_camera_moves
from engine.analysis.prompt.checks.length import check_language, check_length
from engine.analysis.prompt.checks.markup import check_markup
from engine.analysis.prompt.checks.motion import check_actions, check_motion, check_static_share, check_vague_verbs
from engine.analysis.prompt.checks.settings import check_guidance, check_length_of_clip
from engine.analysis.prompt.checks.subject import check_subject, check_subject_place
from engine.analysis.prompt.checks.unwanted import check_absent_nouns, check_negations, check_negative_prompt
from engine.analysis.prompt.checks.wording import (
    check_abstract_words,
    check_cuts,
    check_text_in_picture,
    check_transformations,
)
from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue

Check = Callable[[Draft], Iterator[Issue]]

ANY_LANGUAGE: tuple[Check, ...] = (
    check_length,
    check_language,
    check_markup,
    check_negative_prompt,
    check_absent_nouns,
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
