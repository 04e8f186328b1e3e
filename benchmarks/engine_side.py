"""The engine as one side of ``benchmarks.pipeline``: ``python -m benchmarks.engine_side BUNDLE CLIP``.

Calls the engine in process, without the server, because Diffusers has no network cost either.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip import Clip, Marks, Take, serve
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady, StepDone
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.runtime.ort import OrtRuntime

_TEXT_CACHE_ENTRY_COUNT = 64  # the server's default


def main(bundle: str, clip_file: str) -> None:
    """Opens the bundle and answers takes; see ``benchmarks.clip``."""
    clip = Clip(**json.loads(Path(clip_file).read_text()))
    engine = BundleEngine(load_bundle(Path(bundle), OrtRuntime(clip.thread_count)), _TEXT_CACHE_ENTRY_COUNT)

    def make(take: Take) -> tuple[Marks, NDArray[Any]]:
        picture, noise = clip.picture, clip.noise
        started = time.perf_counter()
        step_ends, frame_ends, frames = [], [], []
        job = engine.prepare(_job(clip, take, picture))
        for event in engine.generate_from_noise(job, noise, CancelFlag()):
            if isinstance(event, StepDone):
                step_ends.append(time.perf_counter())
            elif isinstance(event, FrameReady):
                frame_ends.append(time.perf_counter())
                frames.append(event.pixels)
        ended = time.perf_counter()
        return Marks(started, step_ends, frame_ends[0], ended), np.stack(frames)

    serve(make)


def _job(clip: Clip, take: Take, picture: bytes) -> Job:
    return Job(
        Image(picture),
        take.prompt,
        take.negative_prompt,
        VideoSpec(clip.width_px, clip.height_px, clip.frame_count),
        SamplingSpec(clip.step_count, clip.guidance_scale, clip.guidance_scale_low_noise, seed=0),
        MatchPolicy(MatchMode.OFF),  # Diffusers has no match score
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
