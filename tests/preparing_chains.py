"""Shortcuts to the violations of refused chains, and capabilities of servers that give a segment one frame or five."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.api.capabilities import Capabilities
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.job import Job
from engine.preparation.job import prepare_job
from tests.preparing import TWO_EXPERTS

FIVE = replace(TWO_EXPERTS, given_frame_count=5)  # two latent frames
ONE = replace(TWO_EXPERTS, given_frame_count=1)  # the default of a server


def violations(job: Job, capabilities: Capabilities = FIVE) -> list[Violation]:
    with pytest.raises(InvalidJob) as refused:
        prepare_job(job, capabilities)
    return [*refused.value.violations]


def refusal(job: Job, capabilities: Capabilities = FIVE) -> tuple[Field, int | None, str]:
    (violation,) = violations(job, capabilities)
    return violation.field, violation.segment, violation.description


def with_segments(job: Job, **fields: Any) -> Job:
    """The job with fields of its last segment changed."""
    return replace(job, segments=(*job.segments[:-1], replace(job.segments[-1], **fields)))
