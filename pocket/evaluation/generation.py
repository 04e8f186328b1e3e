"""Generates clips for evaluation with the engine that the server uses. The only file here that calls the engine."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady, JobDone
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image, ImageFormat
from engine.api.settings import EngineSettings
from pocket.world.png import png_of


@dataclass(frozen=True)
class Sampling:
    """Denoising steps and guidance scale; both experts use the same scale."""

    step_count: int
    guidance_scale: float


@dataclass(frozen=True)
class Generated:
    """One generated clip. frames: [frames, height, width, 3] uint8; match_score: 0..100; seconds: wall clock."""

    frames: NDArray[np.uint8]
    first_frame_psnr_db: float
    match_score: float
    seconds: float


class Generator:
    """Generates clips with one bundle."""

    def __init__(self, bundle: Path) -> None:
        """Open the bundle. Raises the engine's `BundleInvalid`."""
        self._engine = open_engine(bundle, EngineSettings())

    @property
    def sampling(self) -> Sampling:
        """The bundle's default step count and guidance scale."""
        defaults = self._engine.capabilities().defaults
        return Sampling(defaults.step_count, defaults.guidance_scale)

    def generate(self, picture: NDArray[np.uint8], sentence: str, seed: int, sampling: Sampling) -> Generated:
        """Generate one clip. picture: [height, width, 3] uint8."""
        started = time.perf_counter()
        scale = sampling.guidance_scale
        job = Job(
            image=Image(png_of(picture), ImageFormat.PNG),
            prompt=sentence,
            sampling=SamplingSpec(
                step_count=sampling.step_count,
                guidance_scale=scale,
                guidance_scale_low_noise=scale,
                seed=seed,
            ),
            match=MatchPolicy(MatchMode.REPORT),
        )
        events = list(self._engine.generate(self._engine.prepare(job), CancelFlag()))
        (done,) = (event for event in events if isinstance(event, JobDone))
        assert done.match_report is not None
        return Generated(
            frames=np.stack([event.pixels for event in events if isinstance(event, FrameReady)]),
            first_frame_psnr_db=done.first_frame_psnr_db,
            match_score=done.match_report.score,
            seconds=time.perf_counter() - started,
        )
