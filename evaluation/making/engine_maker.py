"""Makes clips with a bundle in this process, with the engine that the server uses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.api.cancellation import CancelFlag
from engine.api.errors import EngineError
from engine.api.events import FrameReady, JobDone
from engine.api.job import Job, MatchMode, MatchPolicy, PreparedJob, SamplingSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.generate.opening import open_bundle
from evaluation.case import Case, Frames, MadeClip
from evaluation.errors import EvaluationError
from evaluation.making.figures import figures_of
from evaluation.plan.model import Sampling


class EngineMaker:
    """Opens a bundle with ``thread_count`` threads, 0: one per core. Raises the engine's ``BundleInvalid``."""

    def __init__(self, bundle: Path, thread_count: int) -> None:
        self._engine = open_bundle(bundle, EngineSettings(thread_count=thread_count))

    def make(self, case: Case) -> MadeClip:
        """See ``ClipMaker``."""
        started = time.perf_counter()
        with _named(case):
            prepared = self._prepare(case)
            events = list(self._engine.generate(prepared, CancelFlag()))
        frames = np.stack([event.pixels for event in events if isinstance(event, FrameReady)])
        (done,) = (event for event in events if isinstance(event, JobDone))
        return _clip_of(prepared, frames, done, time.perf_counter() - started)

    def judge(self, case: Case, frames: Frames) -> MadeClip:
        """The figures of a clip of a case that was made before. Raises ``EvaluationError``."""
        with _named(case):
            prepared = self._prepare(case)
            return _clip_of(prepared, frames, self._engine.review(prepared, frames), 0.0)

    def _prepare(self, case: Case) -> PreparedJob:
        job = Job(
            image=Image(case.picture),
            prompt=case.prompt,
            sampling=_sampling_of(case.sampling, case.seed),
            match=MatchPolicy(MatchMode.REPORT),
        )
        return self._engine.prepare(job)

    def close(self) -> None:
        """See ``ClipMaker``."""
        self._engine.close()


@contextmanager
def _named(case: Case) -> Iterator[None]:
    """Names the pair in what the engine refuses."""
    try:
        yield
    except EngineError as error:
        raise EvaluationError(f"pair {case.pair}, {case.prompt!r}: {error}") from error


def _sampling_of(sampling: Sampling, seed: int) -> SamplingSpec:
    return SamplingSpec(step_count=sampling.step_count, guidance_scale=sampling.guidance_scale, seed=seed)


def _clip_of(prepared: PreparedJob, frames: Frames, done: JobDone, seconds: float) -> MadeClip:
    assert done.diagnosis is not None
    figures = figures_of(done, prepared.settings, done.diagnosis.metrics, seconds)
    return MadeClip(frames, done.first_frame_psnr_db, figures)
