"""Runs jobs on the graphs of one bundle: a clip of one segment, or a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.analysis.diagnosis.non_finite import explain_non_finite
from engine.api.events import Event, JobDone
from engine.api.job import PreparedJob
from engine.api.media import Pixels
from engine.generate.chain_run import ChainRun, MakeNoise
from engine.generate.clip_request import whole_clip
from engine.generate.clip_run import ClipRun
from engine.generate.model_parts import ModelParts
from engine.generate.text_conditioning import JobTexts
from engine.runtime.execution import Execution
from engine.runtime.finite import NonFiniteOutput


class Pipeline:
    """Runs jobs one at a time."""

    def __init__(self, model: ModelParts) -> None:
        self._model = model

    def generate(self, job: PreparedJob, noise_of: MakeNoise, execution: Execution) -> Iterator[Event]:
        """Generates a clip. See ``Engine.generate`` for events and errors."""
        try:
            if job.segments:
                yield from ChainRun(self._model, job, noise_of, execution).make()
            else:
                yield from self._whole(job, noise_of, execution)
        except NonFiniteOutput as fault:
            raise explain_non_finite(fault, self._model.manifest) from fault

    def review(self, job: PreparedJob, frames: Iterable[Pixels], execution: Execution) -> JobDone:
        """The summary that a job of one segment would have if its clip had these frames. Raises ``MatchRefused``."""
        if job.segments:
            raise ValueError("a chain cannot be reviewed without being made; review its segments one by one")
        return ClipRun(self._model, whole_clip(job), execution).review(frames).done

    def _whole(self, job: PreparedJob, noise_of: MakeNoise, execution: Execution) -> Iterator[Event]:
        texts = JobTexts(self._model.prompts, [(job.prompt, job.settings)])
        made = yield from ClipRun(self._model, whole_clip(job), execution).make(texts, noise_of(job.settings))
        yield made.done
