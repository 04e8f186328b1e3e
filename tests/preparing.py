"""Capabilities of a server, and shortcuts to a prepared job and to the violations of a refused one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.api.capabilities import Capabilities, Geometry, SamplingDefaults
from engine.api.errors import InvalidJob
from engine.api.fields import Field
from engine.api.job import Job, PreparedJob, SamplingSpec
from engine.preparation.job import prepare_job
from engine.testing.fake_engine import FAKE_CAPABILITIES

_DEFAULTS = SamplingDefaults(
    step_count=4,
    guidance_scale=3.5,
    guidance_scale_low_noise=3.0,
    shift=5.0,
    frame_rate=8.0,
    negative_prompt="blurred",
)
TWO_EXPERTS = replace(
    FAKE_CAPABILITIES,
    geometries=(Geometry(32, 32, 9), Geometry(48, 32, 9), Geometry(32, 32, 17)),
    defaults=_DEFAULTS,
)
ONE_TRANSFORMER = replace(TWO_EXPERTS, defaults=replace(_DEFAULTS, guidance_scale_low_noise=None))
WITHOUT_SCORER = replace(TWO_EXPERTS, match_supported=False)


def refusals(job: Job, capabilities: Capabilities = TWO_EXPERTS) -> dict[Field, str]:
    """Returns the descriptions of the violations, by field."""
    with pytest.raises(InvalidJob) as refused:
        prepare_job(job, capabilities)
    return {item.field: item.description for item in refused.value.violations}


def prepare(job: Job, capabilities: Capabilities = TWO_EXPERTS, **sampling: Any) -> PreparedJob:
    return prepare_job(replace(job, sampling=SamplingSpec(**sampling)), capabilities)
