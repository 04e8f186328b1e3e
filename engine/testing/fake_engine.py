"""An engine whose outputs can be computed by hand, for tests of servers and clients.

It applies the real engine's rules for jobs (``engine.preparation``) and keeps its order of events. Instead of a graph
call it adds a line to ``graph_calls``:

* frame ``i`` of a job with seed ``s`` is one colour: red ``(s + i) % 256``, green ``i % 256``, blue the number
  of characters of the prompt ``% 256``; in a chain, ``i`` counts through all segments, and seed and prompt are those of
  the frame's segment;
* a preview after step ``k`` is one colour, ``k`` in all three channels, at an eighth of the clip's size;
* the match score is 10 for each word of the prompt, at most 100; the rest of the report is in ``fake_match``;
* a clip of 4n + 1 frames takes one call for the text, one for the picture, one a step, and n + 1 to decode; so does
  each segment of a chain, but the text takes one call in all, and latent frames that the chain does not need take none.
  A chain that begins after complete segments encodes the text without an event;
* with reuse, steps of ``BALANCED`` take turns in the order of ``StepWork``, full at steps 1, 4, 7 and so on; ``FAST``
  reuses every even step; the last step is full. A full step takes 1 second, one with reused guidance half of it, a
  reused one none;
* every stage takes 1 second, peak memory is 1,000 bytes, the first frame has 40 dB;
* a clip that was scored succeeds with probability ``(s % 10) / 10`` and is accepted from 0.5 on, so that seeds ending
  in 0 to 4 fail; capabilities with ``accept_from`` None switch this off;
* the first and the last frame of a clip or segment match as well as the picture or the frame that it begins from, and
  the diagnosis has no symptoms;
* seams, drift and summary of a chain are in ``fake_chain``;
* the call named ``non_finite_at`` computes NaN in fp16, as a model with a wrong weight does at every job.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace
from threading import Semaphore

from engine.analysis.picture.report import report_picture
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities, Family, Geometry, Limits, SamplingDefaults
from engine.api.chain import ChainStop, SegmentStarted
from engine.api.diagnosis import ClipMetrics, Diagnosis
from engine.api.errors import MatchRefused, NonFiniteValues
from engine.api.events import Event, Expert, FrameMatch, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import ClipPlan, Job, MatchMode, PreparedJob, PreparedSegment
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.api.reuse import StepWork
from engine.matching.enrichment import EnrichmentContext, enriched
from engine.matching.score import in_file
from engine.preparation.job import prepare_job
from engine.preparation.score_request import clip_settings_of, prepare_score_request
from engine.testing.fake_chain import check_begin, fake_chain_done, fake_segment_done
from engine.testing.fake_clip import fake_success, fake_works, frame_of, last_frames, plain
from engine.testing.fake_match import fake_match_report

FAKE_CAPABILITIES = Capabilities(
    model_name="fake",
    family=Family.WAN22_I2V_A14B,
    bundle_digest="0" * 64,
    checkpoint_digest="1" * 64,
    runtime="fake",
    license="Apache-2.0",
    geometries=(Geometry(32, 32, 9), Geometry(48, 32, 9), Geometry(32, 32, 17)),
    defaults=SamplingDefaults(
        step_count=4,
        guidance_scale=3.5,
        guidance_scale_low_noise=3.5,
        shift=5.0,
        frame_rate=8.0,
        negative_prompt="blurred",
    ),
    limits=Limits(),
    match_supported=True,
    notices=("This is the fake engine: its frames are plain colours.",),
    accept_from=0.5,
    reuse_supported=True,
    given_frame_count=5,
)


FAKE_METRICS = ClipMetrics(
    dynamic_degree=1.0, motion_speed=0.5, temporal_flicker=1.0, largest_change=0.0, burnt_gain=0.0
)

_SECONDS = {StepWork.FULL: 1.0, StepWork.GUIDANCE_REUSED: 0.5, StepWork.REUSED: 0.0}


class FakeEngine:
    """An engine without a model; see the module's docstring.

    ``call_seconds`` is the duration of one graph call. With a ``gate``, each graph call first acquires one permit, so
    that a test can stop the engine at any call. ``non_finite_at`` is a line of ``graph_calls``, for example
    ``denoise 2`` or ``encode_text``.
    """

    def __init__(
        self,
        *,
        call_seconds: float = 0.0,
        gate: Semaphore | None = None,
        capabilities: Capabilities = FAKE_CAPABILITIES,
        non_finite_at: str | None = None,
    ) -> None:
        self.graph_calls: list[str] = []
        self._call_seconds = call_seconds
        self._gate = gate
        self._capabilities = capabilities
        self._non_finite_at = non_finite_at
        self._context = EnrichmentContext.of(capabilities)

    def capabilities(self) -> Capabilities:
        """See ``Engine.capabilities``."""
        return self._capabilities

    def prepare(self, job: Job) -> PreparedJob:
        """Checks a job by the real engine's rules."""
        return prepare_job(job, self._capabilities, self.score_match)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Yields the events that the module's docstring describes."""
        if job.segments:
            yield from self._chain(job, cancel)
        else:
            clip = PreparedSegment(job.prompt, job.settings, 0, job.settings.frame_count)
            yield replace((yield from self._clip(job, clip, cancel)), warnings=job.warnings)

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """Scores 10 for each word of the prompt."""
        picture, clip = prepare_score_request(image, prompt, plan, self._capabilities)
        report = self._report(prompt, picture.upright.width, picture.upright.height)
        return enriched(report, prompt, report_picture(picture), clip, self._context)

    def supervision(self) -> None:
        """The fake works in the caller's process."""

    def close(self) -> None:
        """Frees nothing: the fake holds no resources."""

    def _chain(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        complete, stop = [segment.without_frames() for segment in job.begins_after], None
        count = len(job.segments)
        if 0 < len(complete) < count:
            check_begin(job)
            self._call("encode_text", cancel)
        for number, segment in list(enumerate(job.segments, 1))[len(complete) :]:
            yield SegmentStarted(number, count)
            try:
                done = yield from self._clip(job, segment, cancel)
            except MatchRefused as error:
                if number == 1:
                    raise
                stop = ChainStop(number, error.report, error.minimum_score)
                break
            made = fake_segment_done(number, segment, done, last_frames(job, number))
            yield made
            complete.append(made.without_frames())
        yield fake_chain_done(complete, job.warnings, stop)

    def _clip(self, job: PreparedJob, clip: PreparedSegment, cancel: CancelFlag) -> Generator[Event, None, JobDone]:
        """The events of a clip of one segment, or of a segment of a chain. Returns the summary, without warnings."""
        settings, is_first = clip.settings, clip.first_frame_index == 0
        report: MatchReport | None = None
        if job.match_mode is not MatchMode.OFF:
            yield StageStarted(Stage.MATCH)
            self._call("match", cancel)
            report = self._clip_report(job, clip)
            yield report
            if job.match_mode is MatchMode.REQUIRE and report.score < job.minimum_score:
                raise MatchRefused(report, job.minimum_score)
        if is_first:
            yield StageStarted(Stage.ENCODE_TEXT)
            self._call("encode_text", cancel)
        yield StageStarted(Stage.ENCODE_IMAGE)
        self._call("encode_image", cancel)
        yield StageStarted(Stage.DENOISE)
        works = fake_works(settings.reuse, settings.step_count)
        for step, work in enumerate(works, start=1):
            is_first_half = step <= settings.step_count // 2
            expert = Expert.HIGH_NOISE if is_first_half else Expert.LOW_NOISE
            self._call(f"denoise {step}", cancel, expert, step, settings.step_count)
            wants_preview = job.preview_every_step_count and step % job.preview_every_step_count == 0
            yield StepDone(
                completed_step_count=step,
                step_count=settings.step_count,
                expert=expert,
                step_seconds=_SECONDS[work],
                work=work,
                preview=plain(settings.width_px // 8, settings.height_px // 8, (step, step, step))
                if wants_preview
                else None,
            )
        yield StageStarted(Stage.DECODE)
        last = clip.first_frame_index + clip.new_frame_count - 1
        for decoded in range(clip.given_frame_count + clip.new_frame_count):
            if decoded % 4 == 1 or decoded == 0:
                self._call(f"decode {(decoded + 3) // 4}", cancel)
            if decoded >= clip.given_frame_count:
                index = clip.first_frame_index + decoded - clip.given_frame_count
                yield FrameReady(index, frame_of(clip, index))
        absent = {Stage.MATCH if report is None else None, None if is_first else Stage.ENCODE_TEXT}
        stages = [stage for stage in Stage if stage not in absent]
        matches = (
            () if report is None else (FrameMatch(clip.first_frame_index, report.score), FrameMatch(last, report.score))
        )
        return JobDone(
            stage_seconds=dict.fromkeys(stages, 1.0),
            work_seconds=float(len(stages)),
            first_frame_seconds=float(len(stages) - 1),
            peak_memory_bytes=1_000,
            first_frame_psnr_db=40.0,
            match_report=report,
            warnings=(),
            frame_matches=matches,
            diagnosis=Diagnosis((), (), FAKE_METRICS),
            success=None if report is None or self._capabilities.accept_from is None else fake_success(settings.seed),
            step_counts=Counter(works),
        )

    def _clip_report(self, job: PreparedJob, clip: PreparedSegment) -> MatchReport:
        """The report on the picture, or on the frame that a later segment begins from."""
        scored = self._report(clip.prompt, clip.settings.width_px, clip.settings.height_px)
        is_first = clip.first_frame_index == 0
        scored = in_file(scored, job) if is_first else replace(scored, crops=())
        picture_report = job.picture_report if is_first else None
        return enriched(scored, clip.prompt, picture_report, clip_settings_of(clip.settings), self._context)

    def _report(self, prompt: str, width_px: int, height_px: int) -> MatchReport:
        return fake_match_report(prompt, width_px, height_px, self._capabilities.geometries)

    def _call(
        self, name: str, cancel: CancelFlag, expert: Expert | None = None, step: int = 0, step_count: int = 0
    ) -> None:
        if self._gate is not None:
            self._gate.acquire()
        cancel.check()
        self.graph_calls.append(name)
        if self._call_seconds:
            time.sleep(self._call_seconds)
        if name == self._non_finite_at:
            stage = Stage(name.split(maxsplit=1)[0])
            raise NonFiniteValues(
                f"{name} computed NaN or infinity", stage, "fp16", expert=expert, step=step, step_count=step_count
            )
