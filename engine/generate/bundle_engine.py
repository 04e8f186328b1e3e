"""The engine of one bundle: puts graphs, prompt encoder, scorer and pipeline together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from engine.analysis.diagnosis.non_finite import explain_non_finite
from engine.analysis.picture.report import report_picture
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities, Limits, SamplingDefaults
from engine.api.errors import ScorerMissing
from engine.api.events import Event, JobDone
from engine.api.fields import Field
from engine.api.job import ClipPlan, Job, PreparedJob, Settings
from engine.api.match_report import MatchReport
from engine.api.media import Image, Pixels
from engine.api.picture_report import PictureReport
from engine.api.reuse import StepReuse
from engine.bundle.manifest import Manifest
from engine.cache import BoundedCache
from engine.generate.chain_run import MakeNoise
from engine.generate.loading import LoadedBundle
from engine.generate.model_parts import ModelParts
from engine.generate.picture_encoder import PictureEncoder
from engine.generate.pipeline import Pipeline
from engine.generate.prompt_encoder import PromptEncoder
from engine.generate.segment_join import PutBack, SegmentJoin
from engine.generate.step_plan import supports_reuse
from engine.matching.enrichment import EnrichmentContext, enriched
from engine.matching.scorer import Scorer
from engine.matching.success import check_factors
from engine.media.picture import DecodedPicture
from engine.preparation.job import prepare_job
from engine.preparation.score_request import prepare_score_request
from engine.runtime.base import Array
from engine.runtime.execution import Execution
from engine.runtime.finite import NonFiniteOutput
from engine.runtime.gpu import Gpu

_PICTURE_REPORT_COUNT = 128


class BundleEngine:
    """Serves one bundle on one runtime. Implements ``engine.api.engine.Engine``."""

    def __init__(
        self,
        bundle: LoadedBundle,
        text_cache_entry_count: int,
        *,
        picture_cache_bytes: int = 0,
        reuse: StepReuse = StepReuse.OFF,
        gpu: Gpu | None = None,
        join: SegmentJoin = PutBack(1),
    ) -> None:
        """See ``EngineSettings`` for the numbers. ``reuse`` has no effect if the bundle does not support it.

        ``gpu`` is the card of the runtime, None for a CPU. ``join`` begins the segments of chains.
        """
        self._manifest, self._runtime, self._graphs = bundle.manifest, bundle.runtime, bundle.graphs
        self._capabilities = _capabilities(bundle, reuse, gpu, join)
        folder, graphs = bundle.folder, bundle.graphs
        anywhere = self._capabilities.geometries[0]  # these graphs do not depend on the size
        prompts = PromptEncoder(
            folder, self._manifest.tokenizer, graphs.get("text_encoder", anywhere), text_cache_entry_count
        )
        pictures = PictureEncoder(is_first_frame=self._manifest.expand_timesteps, cache_bytes=picture_cache_bytes)
        self._scorer: Scorer | None = None
        if self._manifest.scorer is not None:
            check_factors(self._manifest.scorer)
            both = graphs.get("scorer_image", anywhere), graphs.get("scorer_text", anywhere)
            self._scorer = Scorer(folder, self._manifest.scorer, both, bundle.runtime, bundle.plan.geometries)
        self._picture_reports: BoundedCache[bytes, PictureReport] = BoundedCache(_PICTURE_REPORT_COUNT)
        fitted = self._manifest.scorer.success if self._manifest.scorer is not None else None
        self._context = EnrichmentContext.of(self._capabilities, prompts.token_count, fitted)
        self._pipeline: Pipeline | None = Pipeline(
            ModelParts(self._manifest, graphs, self._scorer, self._context, prompts, pictures, join)
        )

    def capabilities(self) -> Capabilities:
        """See ``Engine.capabilities``."""
        return self._capabilities

    def prepare(self, job: Job) -> PreparedJob:
        """See ``Engine.prepare``."""
        return prepare_job(job, self._capabilities, self.score_match)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``."""
        return self._generate(job, partial(seeded_noise, manifest=self._manifest), cancel)

    def generate_from_noise(self, job: PreparedJob, noise: Array, cancel: CancelFlag) -> Iterator[Event]:
        """Like ``generate``, from given noise, float32 [1, z, T, h, w]; seeds have no effect.

        Every segment of a chain gets this noise.
        """
        return self._generate(job, lambda _: noise, cancel)

    def review(self, job: PreparedJob, frames: Iterable[Pixels]) -> JobDone:
        """Scores a job's pair and judges a clip of it that was made before, frames uint8 [H, W, 3] in order.

        The result is that of ``generate`` but for times and memory; bundles whose fits changed judge anew with it.
        Raises ``ValueError`` for a chain.
        """
        if self._pipeline is None:
            raise RuntimeError("the engine is closed")
        return self._pipeline.review(job, frames, Execution(self._runtime, CancelFlag()))

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """See ``Engine.score_match``."""
        if self._scorer is None:
            raise ScorerMissing(Field.MATCH_MODE)
        picture, clip = prepare_score_request(image, prompt, plan, self._capabilities)
        try:
            report = self._scorer.score(Execution(self._runtime, CancelFlag()), picture.upright, prompt)
        except NonFiniteOutput as fault:
            raise explain_non_finite(fault, self._manifest) from fault
        return enriched(report, prompt, self._report_picture(image, picture), clip, self._context)

    def _report_picture(self, image: Image, picture: DecodedPicture) -> PictureReport:
        """Cached by the image's SHA-256: scoring the same picture with another prompt reuses its report."""
        digest = hashlib.sha256(image.data).digest()
        report = self._picture_reports.find([digest]).get(digest)
        if report is None:
            report = report_picture(picture)
            self._picture_reports.keep({digest: report})
        return report

    def _generate(self, job: PreparedJob, noise_of: MakeNoise, cancel: CancelFlag) -> Iterator[Event]:
        if self._pipeline is None:
            raise RuntimeError("the engine is closed")
        return self._pipeline.generate(job, noise_of, Execution(self._runtime, cancel))

    def supervision(self) -> None:
        """The engine works in the caller's process."""

    def close(self) -> None:
        """Frees graphs and caches."""
        self._pipeline = None
        self._scorer = None
        self._graphs.close()
        self._runtime.close()


def seeded_noise(settings: Settings, manifest: Manifest) -> Array:
    """Standard normal noise of a seed, float32 [1, z, T, h, w], drawn on the host: the same on every device.

    Philox, because its specification fixes the stream (Salmon et al. 2011, "Parallel random numbers").
    """
    latent = manifest.latent
    shape = (
        1,
        latent.channel_count,
        (settings.frame_count - 1) // latent.temporal_stride + 1,
        settings.height_px // latent.spatial_stride,
        settings.width_px // latent.spatial_stride,
    )
    return np.random.Generator(np.random.Philox(settings.seed)).standard_normal(shape, dtype=np.float32)


def _capabilities(bundle: LoadedBundle, reuse: StepReuse, gpu: Gpu | None, join: SegmentJoin) -> Capabilities:
    manifest, plan = bundle.manifest, bundle.plan
    reuse_supported = supports_reuse(manifest)
    fitted = manifest.scorer.clip_success if manifest.scorer is not None else None
    return Capabilities(
        model_name=manifest.name,
        family=manifest.family,
        bundle_digest=bundle.digest,
        checkpoint_digest=manifest.checkpoint_digest,
        runtime=bundle.runtime.name,
        license=manifest.license,
        geometries=plan.geometries,
        defaults=SamplingDefaults(
            step_count=manifest.schedule.step_count,
            guidance_scale=manifest.guidance.scale,
            guidance_scale_low_noise=manifest.guidance.low_noise_scale,
            shift=manifest.schedule.shift,
            frame_rate=manifest.frame_rate,
            negative_prompt=manifest.guidance.negative_prompt,
            reuse=reuse if reuse_supported else StepReuse.OFF,
        ),
        limits=Limits(),
        match_supported=manifest.scorer is not None,
        notices=(*manifest.notices, *(f"Not served here: {refusal}." for refusal in plan.refusals)),
        memory_budget_bytes=plan.budget_bytes,
        memory_plans=plan.plans,
        accept_from=fitted.accept_from if fitted is not None else None,
        device="cpu" if gpu is None else f"cuda:{gpu.index}",
        gpu_uuid="" if gpu is None else gpu.uuid,
        reuse_supported=reuse_supported,
        given_frame_count=join.given_frame_count,
    )
