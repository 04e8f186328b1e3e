"""The life of a clip: match, encode text, encode image, denoise, decode, review.

Frames are yielded as they are decoded: the first one before the second latent frame is decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.non_finite import explain_non_finite
from engine.api.errors import MatchRefused
from engine.api.events import Event, Expert, JobDone, Stage, StageStarted, StepDone
from engine.api.job import MatchMode, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Box, Pixels
from engine.api.reuse import StepWork
from engine.bundle.graph_spec import GraphName
from engine.bundle.manifest import Manifest
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.decoding import decode_frames, psnr_db
from engine.generate.denoising import Denoised, ExpertRun, denoise
from engine.generate.picture_encoder import PictureEncoder
from engine.generate.preview import preview_of
from engine.generate.prompt_encoder import PromptEncoder
from engine.generate.schedule import flow_schedule
from engine.generate.stopwatch import Stopwatch
from engine.generate.text_conditioning import expert_runs
from engine.matching.enrichment import EnrichmentContext, enriched
from engine.matching.review import review_clip
from engine.matching.score import in_file
from engine.matching.scorer import Scorer
from engine.memory.graphs import BundleGraphs
from engine.preparation.score_request import clip_settings_of
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution
from engine.runtime.finite import NonFiniteOutput


@dataclass(frozen=True, slots=True)
class _Match:
    """The report on a job's pair, and the subject's box in pixels of the clip; both None if nothing was scored."""

    report: MatchReport | None = None
    subject: Box | None = None


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Measurements of a clip that is decoded. ``first_frame_seconds`` is counted from the start of the job."""

    watch: ClipWatch
    first_frame_seconds: float
    first_frame_psnr_db: float


class Pipeline:
    """Runs jobs on the graphs of one bundle, one job at a time."""

    def __init__(
        self,
        manifest: Manifest,
        graphs: BundleGraphs,
        scorer: Scorer | None,
        context: EnrichmentContext,
        *,
        prompts: PromptEncoder,
        pictures: PictureEncoder,
    ) -> None:
        self._manifest = manifest
        self._graphs = graphs
        self._prompts = prompts
        self._pictures = pictures
        self._scorer = scorer
        self._context = context

    def generate(self, job: PreparedJob, noise: Array, execution: Execution) -> Iterator[Event]:
        """Generates a clip from noise, float32 [1, z, T, h, w]. See ``Engine.generate`` for events and errors."""
        try:
            yield from self._generate(job, noise, execution)
        except NonFiniteOutput as fault:
            raise explain_non_finite(fault, self._manifest) from fault

    def _generate(self, job: PreparedJob, noise: Array, execution: Execution) -> Iterator[Event]:
        stopwatch = Stopwatch()
        match = yield from self._match(job, execution, stopwatch)
        yield StageStarted(Stage.ENCODE_TEXT)
        with self._entered(Stage.ENCODE_TEXT, job, stopwatch):
            experts = expert_runs(job.prompt, job.settings, self._prompts, partial(self._graph, job), execution)
        yield StageStarted(Stage.ENCODE_IMAGE)
        with self._entered(Stage.ENCODE_IMAGE, job, stopwatch):
            graph_of = partial(self._graph, job)
            image_conditioning = self._pictures.encode(job.picture, noise.shape[2], graph_of, execution)
        yield StageStarted(Stage.DENOISE)
        with stopwatch.stage(Stage.DENOISE):
            latents, step_counts = yield from self._denoise(job, experts, noise, image_conditioning, execution)
        yield StageStarted(Stage.DECODE)
        with self._entered(Stage.DECODE, job, stopwatch):
            decoded = yield from self._decode(job, latents, execution, stopwatch)
        yield self._done(job, match, decoded, execution, stopwatch, step_counts=step_counts)

    def review(self, job: PreparedJob, frames: Iterable[Pixels], execution: Execution) -> JobDone:
        """The summary that a job would have if its clip had these frames, without the time of making them.

        Raises ``MatchRefused``.
        """
        stopwatch = Stopwatch()
        matching = self._match(job, execution, stopwatch)
        while True:
            try:
                next(matching)
            except StopIteration as end:
                match: _Match = end.value
                break
        watch = ClipWatch(job.settings.frame_count, job.settings.frame_rate)
        first: Pixels | None = None
        for pixels in frames:
            watch.add(pixels)
            first = pixels if first is None else first
        assert first is not None
        decoded = _Decoded(watch, 0.0, psnr_db(first, job.picture))
        return self._done(job, match, decoded, execution, stopwatch, step_counts={})

    @contextmanager
    def _entered(self, stage: Stage, job: PreparedJob, stopwatch: Stopwatch) -> Iterator[None]:
        """Times a stage and brings the graphs of that stage into memory as the memory plan says."""
        with stopwatch.stage(stage):
            self._graphs.enter(job.settings.geometry, stage)
            yield

    def _match(self, job: PreparedJob, execution: Execution, stopwatch: Stopwatch) -> Generator[Event, None, _Match]:
        """Scores picture and prompt unless the job turns that off. Raises ``MatchRefused``."""
        if self._scorer is None or job.match_mode is MatchMode.OFF:
            return _Match()
        yield StageStarted(Stage.MATCH)
        with stopwatch.stage(Stage.MATCH):
            scored = self._scorer.score(execution, job.picture, job.prompt)
            clip = clip_settings_of(job.settings)
            report = enriched(in_file(scored, job), job.prompt, job.picture_report, clip, self._context)
        yield report
        if job.match_mode is MatchMode.REQUIRE and report.score < job.minimum_score:
            raise MatchRefused(report, job.minimum_score)
        return _Match(report, scored.grounding.box if scored.grounding is not None else None)

    def _denoise(
        self,
        job: PreparedJob,
        experts: dict[Expert, ExpertRun],
        noise: Array,
        image_conditioning: Array,
        execution: Execution,
    ) -> Generator[Event, None, tuple[Array, Mapping[StepWork, int]]]:
        """Yields a ``StepDone`` after each step; returns the latents, [1, z, T, h, w], and the steps by their work."""
        settings, spec = job.settings, self._manifest.schedule
        schedule = flow_schedule(
            settings.step_count,
            settings.shift,
            spec.order,
            boundary_timestep=spec.boundary_timestep,
            train_step_count=spec.train_step_count,
        )
        guide_and_step = self._graph(job, "guide_and_step")
        enter = partial(self._graphs.enter, settings.geometry, Stage.DENOISE)
        latents = noise
        step_counts = Counter[StepWork]()
        for state in denoise(
            execution,
            schedule,
            experts,
            guide_and_step,
            noise=noise,
            image_conditioning=image_conditioning,
            enter=enter,
            reuse=settings.reuse,
        ):
            step_counts[state.work] += 1
            yield self._progress(job, state)
            if state.step + 1 == schedule.step_count:
                latents = state.latents.to_host()
        if self._manifest.expand_timesteps:  # the first latent frame is the picture's own
            latents[:, :, :1] = image_conditioning
        return latents, step_counts

    def _progress(self, job: PreparedJob, state: Denoised) -> StepDone:
        """The event of a step, with a preview if the job asks for one after this step."""
        interval, completed = job.preview_every_step_count, state.step + 1
        has_preview = interval > 0 and completed % interval == 0
        preview = preview_of(state.x0.to_host(), self._manifest.preview) if has_preview else None
        return StepDone(completed, job.settings.step_count, state.expert, state.seconds, preview, state.work)

    def _decode(
        self, job: PreparedJob, latents: Array, execution: Execution, stopwatch: Stopwatch
    ) -> Generator[Event, None, _Decoded]:
        """Yields the frames in order; returns the measurements of them."""
        init, step = self._graph(job, "vae_decoder_init"), self._graph(job, "vae_decoder_step")
        watch = ClipWatch(job.settings.frame_count, job.settings.frame_rate)
        first_frame_seconds, first_frame_psnr_db = 0.0, 0.0
        for frame in decode_frames(latents, CausalVaeStream(execution, init, step)):
            watch.add(frame.pixels)
            if frame.index == 0:
                first_frame_seconds = stopwatch.elapsed_seconds
                first_frame_psnr_db = psnr_db(frame.pixels, job.picture)
            yield frame
        return _Decoded(watch, first_frame_seconds, first_frame_psnr_db)

    def _done(
        self,
        job: PreparedJob,
        match: _Match,
        decoded: _Decoded,
        execution: Execution,
        stopwatch: Stopwatch,
        *,
        step_counts: Mapping[StepWork, int],
    ) -> JobDone:
        """The summary, with the diagnosis of the clip."""
        review = review_clip(
            decoded.watch,
            job,
            self._scorer,
            execution,
            report=match.report,
            subject=match.subject,
            first_frame_psnr_db=decoded.first_frame_psnr_db,
            default_guidance_scale=self._manifest.guidance.scale,
            spec=self._manifest.scorer,
        )
        return JobDone(
            stage_seconds=stopwatch.stage_seconds,
            work_seconds=stopwatch.elapsed_seconds,
            first_frame_seconds=decoded.first_frame_seconds,
            peak_memory_bytes=execution.runtime.peak_memory_bytes(),
            first_frame_psnr_db=decoded.first_frame_psnr_db,
            match_report=match.report,
            warnings=job.warnings,
            frame_matches=review.frame_matches,
            diagnosis=review.diagnosis,
            success=review.success,
            step_counts=step_counts,
        )

    def _graph(self, job: PreparedJob, name: GraphName) -> Graph:
        return self._graphs.get(name, job.settings.geometry)
