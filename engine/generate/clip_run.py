"""The life of one clip: match, encode text, encode image, denoise, decode, review.

Frames are yielded as they are decoded: the first one before the next latent frame is decoded.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.api.events import Event, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import MatchMode
from engine.api.media import Pixels
from engine.api.reuse import StepWork
from engine.bundle.graph_spec import GraphName
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.clip_match import PairMatch, check_required, match_pair
from engine.generate.clip_request import ClipRequest, MadeClip
from engine.generate.decoding import decode_frames, psnr_db
from engine.generate.denoising import Denoised, denoise
from engine.generate.model_parts import ModelParts
from engine.generate.preview import preview_of
from engine.generate.schedule import Schedule, flow_schedule
from engine.generate.segment_join import FrameEncoder, Opening
from engine.generate.stopwatch import Stopwatch
from engine.generate.text_conditioning import JobTexts
from engine.matching.review import review_clip
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Measurements of a clip that is decoded. ``first_frame_seconds`` is counted from the start of the clip."""

    watch: ClipWatch
    first_frame_seconds: float
    first_frame_psnr_db: float
    last_frames: tuple[Pixels, ...] = ()


class ClipRun:
    """One clip on the graphs of a bundle. The clock starts when constructed."""

    def __init__(self, model: ModelParts, clip: ClipRequest, execution: Execution) -> None:
        self._model, self._clip, self._execution = model, clip, execution
        self._job, self._settings = clip.job, clip.job.settings
        self._stopwatch = Stopwatch()

    def make(self, texts: JobTexts, noise: Array) -> Generator[Event, None, MadeClip]:
        """Yields the events of the clip but ``JobDone``; see ``Engine.generate`` for events and errors.

        ``texts`` are encoded if they are not yet; of a later segment without an event, so that its events are the same
        whether the segments before it were made in this run or in an earlier one. ``noise`` is float32
        [1, z, T, h, w].
        """
        match = yield from self._match()
        if not texts.are_encoded:
            if not self._clip.given_frames:
                yield StageStarted(Stage.ENCODE_TEXT)
            with self._entered(Stage.ENCODE_TEXT):
                texts.encode(self._execution)
        yield StageStarted(Stage.ENCODE_IMAGE)
        with self._entered(Stage.ENCODE_IMAGE):
            opening = self._open(noise)
        yield StageStarted(Stage.DENOISE)
        with self._stopwatch.stage(Stage.DENOISE):
            latents, step_counts = yield from self._denoise(texts, noise, opening)
        yield StageStarted(Stage.DECODE)
        with self._entered(Stage.DECODE):
            decoded = yield from self._decode(latents)
        return self._made(match, decoded, step_counts)

    def review(self, frames: Iterable[Pixels]) -> MadeClip:
        """The clip as if its frames had come out as these, without the time of making them. Raises ``MatchRefused``."""
        match = None
        if self._is_scored:
            match = self._score()
            check_required(match.report, self._job)
        watch, first = self._watch(), None
        for pixels in frames:
            watch.add(pixels)
            first = pixels if first is None else first
        assert first is not None
        return self._made(match, _Decoded(watch, 0.0, psnr_db(first, self._clip.first_frame)), {})

    @contextmanager
    def _entered(self, stage: Stage) -> Iterator[None]:
        """Times a stage and brings the graphs of that stage into memory as the memory plan says."""
        with self._stopwatch.stage(stage):
            self._model.graphs.enter(self._settings.geometry, stage)
            yield

    def _match(self) -> Generator[Event, None, PairMatch | None]:
        """Scores picture and prompt unless the job turns that off. Raises ``MatchRefused``."""
        if not self._is_scored:
            return None
        yield StageStarted(Stage.MATCH)
        match = self._score()
        yield match.report
        check_required(match.report, self._job)
        return match

    @property
    def _is_scored(self) -> bool:
        return self._model.scorer is not None and self._job.match_mode is not MatchMode.OFF

    def _score(self) -> PairMatch:
        assert self._model.scorer is not None
        with self._stopwatch.stage(Stage.MATCH):
            return match_pair(self._job, self._model.scorer, self._model.context, self._execution)

    def _open(self, noise: Array) -> Opening:
        """What the clip begins from: the picture, or the frames of the segment before."""
        clip, pictures = self._clip, self._model.pictures
        if clip.given_frames:
            encoder = FrameEncoder(pictures, self._graph, self._execution)
            return self._model.join.begin(clip.given_frames, noise, encoder)
        return Opening(pictures.encode(self._job.picture, noise.shape[2], self._graph, self._execution))

    def _denoise(
        self, texts: JobTexts, noise: Array, opening: Opening
    ) -> Generator[Event, None, tuple[Array, Mapping[StepWork, int]]]:
        """Yields a ``StepDone`` after each step; returns the latents, [1, z, T, h, w], and the steps by their work."""
        settings, schedule = self._settings, self._schedule()
        latents = noise
        step_counts = Counter[StepWork]()
        for state in denoise(
            self._execution,
            schedule,
            texts.expert_runs(self._job.prompt, settings, self._graph, self._execution),
            self._graph("guide_and_step"),
            noise=noise,
            image_conditioning=opening.conditioning,
            enter=partial(self._model.graphs.enter, settings.geometry, Stage.DENOISE),
            reuse=settings.reuse,
            after_step=opening.after_step,
        ):
            step_counts[state.work] += 1
            yield self._progress(state)
            if state.step + 1 == schedule.step_count:
                latents = state.latents.to_host()
        if self._model.manifest.expand_timesteps:  # the first latent frame is the picture's own
            latents[:, :, :1] = opening.conditioning
        return latents, step_counts

    def _schedule(self) -> Schedule:
        spec = self._model.manifest.schedule
        return flow_schedule(
            self._settings.step_count,
            self._settings.shift,
            spec.order,
            boundary_timestep=spec.boundary_timestep,
            train_step_count=spec.train_step_count,
        )

    def _progress(self, state: Denoised) -> StepDone:
        """The event of a step, with a preview if the job asks for one after this step."""
        interval, completed = self._job.preview_every_step_count, state.step + 1
        has_preview = interval > 0 and completed % interval == 0
        preview = preview_of(state.x0.to_host(), self._model.manifest.preview) if has_preview else None
        return StepDone(completed, self._settings.step_count, state.expert, state.seconds, preview, state.work)

    def _decode(self, latents: Array) -> Generator[Event, None, _Decoded]:
        """Yields the new frames in order; returns the measurements of them."""
        clip, given_count = self._clip, len(self._clip.given_frames)
        decoder = CausalVaeStream(self._execution, self._graph("vae_decoder_init"), self._graph("vae_decoder_step"))
        watch = self._watch()
        last_frames = deque(clip.given_frames, self._model.join.given_frame_count)
        first_frame_seconds, first_frame_psnr_db = 0.0, 0.0
        for index, pixels in enumerate(decode_frames(latents, decoder, given_count + clip.new_frame_count)):
            if index == 0:
                first_frame_psnr_db = psnr_db(pixels, clip.first_frame)
            if index < given_count:
                continue
            watch.add(pixels)
            last_frames.append(pixels)
            if index == given_count:
                first_frame_seconds = self._stopwatch.elapsed_seconds
            yield FrameReady(clip.first_frame_index + index - given_count, pixels)
        return _Decoded(watch, first_frame_seconds, first_frame_psnr_db, tuple(last_frames))

    def _made(self, match: PairMatch | None, decoded: _Decoded, step_counts: Mapping[StepWork, int]) -> MadeClip:
        """The summary, with the diagnosis of the clip."""
        review = review_clip(
            decoded.watch,
            self._job,
            self._model.scorer,
            self._execution,
            report=match.report if match is not None else None,
            subject=match.subject if match is not None else None,
            first_frame_psnr_db=decoded.first_frame_psnr_db,
            default_guidance_scale=self._model.manifest.guidance.scale,
            spec=self._model.manifest.scorer,
            first_frame_index=self._clip.first_frame_index,
        )
        done = JobDone(
            stage_seconds=self._stopwatch.stage_seconds,
            work_seconds=self._stopwatch.elapsed_seconds,
            first_frame_seconds=decoded.first_frame_seconds,
            peak_memory_bytes=self._execution.runtime.peak_memory_bytes(),
            first_frame_psnr_db=decoded.first_frame_psnr_db,
            match_report=match.report if match is not None else None,
            warnings=self._job.warnings,
            frame_matches=review.frame_matches,
            diagnosis=review.diagnosis,
            success=review.success,
            step_counts=step_counts,
        )
        return MadeClip(done, decoded.watch, review.vectors, decoded.last_frames)

    def _watch(self) -> ClipWatch:
        return ClipWatch(self._clip.new_frame_count, self._settings.frame_rate)

    def _graph(self, name: GraphName) -> Graph:
        return self._model.graphs.get(name, self._settings.geometry)
