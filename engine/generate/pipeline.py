"""The life of a job: match, encode text, encode picture, denoise, decode. Knows the stages' order, not their work.

Frames leave as they are decoded: the first one before the second latent frame is touched.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import numpy as np

from engine.analysis.diagnosis import ClipWatch
from engine.api.errors import MatchRefused
from engine.api.types import (
    Box,
    Event,
    Expert,
    FrameReady,
    Geometry,
    JobDone,
    MatchMode,
    MatchReport,
    Pixels,
    PreparedJob,
    Stage,
    StageStarted,
    StepDone,
)
from engine.bundle import Manifest, StageName
from engine.generate.causal_vae_stream import Recurrence
from engine.generate.denoising import ExpertRun, denoise
from engine.generate.image_conditioning import picture_as_channels, picture_as_first_frame
from engine.generate.preview import preview_of, to_pixels
from engine.generate.prompt_encoder import PromptEncoder, join_prompts
from engine.generate.schedule import flow_schedule
from engine.generate.stopwatch import Stopwatch
from engine.matching import Scorer
from engine.matching.enrichment import Adviser, clip_of
from engine.matching.review import review_clip
from engine.matching.score import in_file
from engine.memory.graphs import BundleGraphs
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution

MAX_PSNR_DB = 100.0  # of two equal pictures


class Pipeline:
    """Runs jobs on the graphs of one bundle, one job at a time."""

    def __init__(
        self,
        manifest: Manifest,
        graphs: BundleGraphs,
        prompts: PromptEncoder,
        scorer: Scorer | None,
        adviser: Adviser,
    ) -> None:
        self._adviser = adviser
        self._manifest = manifest
        self._graphs = graphs
        self._prompts = prompts
        self._scorer = scorer

    def generate(self, job: PreparedJob, noise: Array, execution: Execution) -> Iterator[Event]:
        """Generates a clip from noise, float32 [1, z, T, h, w]. See ``Engine.generate`` for events and errors."""
        watch, geometry = Stopwatch(), _geometry(job)
        report: MatchReport | None = None
        subject: Box | None = None  # in pixels of the clip
        if self._scorer is not None and job.match_mode is not MatchMode.OFF:
            yield StageStarted(Stage.MATCH)
            with watch.stage(Stage.MATCH):
                scored = self._scorer.score(execution, job.picture, job.prompt)
                subject = scored.grounding.box if scored.grounding is not None else None
                clip = clip_of(job.settings)
                report = self._adviser.advise(in_file(scored, job), job.prompt, job.picture_report, clip)
            yield report
            if job.match_mode is MatchMode.REQUIRE and report.score < job.minimum_score:
                raise MatchRefused(report, job.minimum_score)
        yield StageStarted(Stage.ENCODE_TEXT)
        with watch.stage(Stage.ENCODE_TEXT):
            self._graphs.enter(geometry, Stage.ENCODE_TEXT)
            experts = self._experts(job, execution)
        yield StageStarted(Stage.ENCODE_IMAGE)
        with watch.stage(Stage.ENCODE_IMAGE):
            self._graphs.enter(geometry, Stage.ENCODE_IMAGE)
            condition = self._condition(job, noise.shape[2], execution)
        yield StageStarted(Stage.DENOISE)
        with watch.stage(Stage.DENOISE):
            latents = yield from self._denoise(job, experts, noise, condition, execution)
        yield StageStarted(Stage.DECODE)
        with watch.stage(Stage.DECODE):
            self._graphs.enter(geometry, Stage.DECODE)
            first_frame_seconds, first_frame_psnr_db = 0.0, 0.0
            seen = ClipWatch(job.settings.frame_count, job.settings.frame_rate)
            for frame in self._decode(job, latents, execution):
                seen.add(frame.pixels)
                if frame.index == 0:
                    first_frame_seconds = watch.elapsed_seconds
                    first_frame_psnr_db = _psnr_db(frame.pixels, job.picture)
                yield frame
        matches, diagnosis = review_clip(
            seen,
            job,
            self._scorer,
            execution,
            report=report,
            subject=subject,
            first_frame_psnr_db=first_frame_psnr_db,
            default_guidance_scale=self._manifest.guidance.scale,
        )
        yield JobDone(
            stage_seconds=watch.stage_seconds,
            work_seconds=watch.elapsed_seconds,
            first_frame_seconds=first_frame_seconds,
            peak_memory_bytes=execution.runtime.peak_memory_bytes(),
            first_frame_psnr_db=first_frame_psnr_db,
            match_report=report,
            warnings=job.warnings,
            frame_matches=matches,
            diagnosis=diagnosis,
        )

    def _experts(self, job: PreparedJob, execution: Execution) -> dict[Expert, ExpertRun]:
        """The transformers, each with its guidance scale and the embeddings that this needs."""
        high, low = job.settings.guidance_scale, job.settings.guidance_scale_low_noise
        stages: dict[Expert, tuple[StageName, float]] = {Expert.SINGLE: ("transformer", high)}
        if low is not None:
            stages = {Expert.HIGH_NOISE: ("transformer_high", high), Expert.LOW_NOISE: ("transformer_low", low)}
        runs = {}
        for expert, (stage, scale) in stages.items():
            prompts = [job.prompt, job.settings.negative_prompt] if scale > 1.0 else [job.prompt]
            encoded = [self._prompts.encode(prompt, execution) for prompt in prompts]
            embeds, bias = map(execution.runtime.upload, join_prompts(encoded, self._prompts.row_count))
            runs[expert] = ExpertRun(self._graph(stage, job), scale, embeds, bias)
        return runs

    def _condition(self, job: PreparedJob, latent_frame_count: int, execution: Execution) -> Array:
        init = self._graph("vae_encoder_init", job)
        if self._manifest.expand_timesteps:
            return picture_as_first_frame(job.picture, Recurrence(execution, init, None))
        recurrence = Recurrence(execution, init, self._graph("vae_encoder_step", job))
        return picture_as_channels(job.picture, latent_frame_count, recurrence)

    def _denoise(
        self,
        job: PreparedJob,
        experts: dict[Expert, ExpertRun],
        noise: Array,
        condition: Array,
        execution: Execution,
    ) -> Generator[Event, None, Array]:
        """Yields a step's progress after each step; returns the latents, [1, z, T, h, w]."""
        manifest, settings = self._manifest, job.settings
        spec = manifest.schedule
        schedule = flow_schedule(
            settings.step_count,
            settings.shift,
            spec.order,
            boundary_timestep=spec.boundary_timestep,
            train_step_count=spec.train_step_count,
        )
        guide_and_step = self._graph("guide_and_step", job)
        enter = partial(self._graphs.enter, _geometry(job), Stage.DENOISE)
        latents = None
        for state in denoise(
            execution, schedule, experts, guide_and_step, noise=noise, condition=condition, enter=enter
        ):
            latents = state.latents
            every, done = job.preview_every_step_count, state.step + 1
            preview: Pixels | None = None
            if every and done % every == 0:
                preview = preview_of(state.x0.to_host(), manifest.preview)
            yield StepDone(done, settings.step_count, state.expert, state.seconds, preview)
        result = noise if latents is None else latents.to_host()
        if manifest.expand_timesteps:  # the first latent frame is the picture's own
            result[:, :, :1] = condition
        return result

    def _decode(self, job: PreparedJob, latents: Array, execution: Execution) -> Iterator[FrameReady]:
        """Frames in order, as soon as they are there."""
        init, step = self._graph("vae_decoder_init", job), self._graph("vae_decoder_step", job)
        recurrence = Recurrence(execution, init, step)
        index = 0
        for latent_index in range(latents.shape[2]):
            frames = recurrence.run(latents[:, :, latent_index : latent_index + 1])  # [1, 3, 1 or 4, height, width]
            for pixels in to_pixels(frames[0].transpose(1, 2, 3, 0) / 2.0 + 0.5):
                yield FrameReady(index, pixels)
                index += 1

    def _graph(self, stage: StageName, job: PreparedJob) -> Graph:
        return self._graphs.get(stage, _geometry(job))


def _geometry(job: PreparedJob) -> Geometry:
    return Geometry(job.settings.width_px, job.settings.height_px, job.settings.frame_count)


def _psnr_db(actual: Pixels, expected: Pixels) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures, at most ``MAX_PSNR_DB``."""
    error = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    return MAX_PSNR_DB if error == 0 else min(10.0 * float(np.log10(255.0**2 / error)), MAX_PSNR_DB)
