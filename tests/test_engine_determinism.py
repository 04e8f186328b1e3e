"""Same bundle, job and seed give the same bytes, in one process and in another."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.bundle.folder import read_manifest
from engine.bundle.manifest import LatentSpec
from engine.generate.bundle_engine import BundleEngine, seeded_noise
from engine.generate.loading import load_bundle
from engine.runtime.ort import OrtRuntime

_ROOT = Path(__file__).parent.parent
_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from tests.test_engine_determinism import digest_of_clip

bundle, picture, seed = sys.argv[1:]
loaded = {"torch", "transformers", "diffusers", "onnx"} & set(sys.modules)
print(digest_of_clip(Path(bundle), Path(picture), int(seed)), *loaded)
"""


def open_bundle(bundle: Path) -> BundleEngine:
    return BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=4)


def prepare(engine: BundleEngine, picture: Path, seed: int | None) -> PreparedJob:
    sampling = SamplingSpec(step_count=3, seed=seed)
    return engine.prepare(
        Job(Image(picture.read_bytes()), "a red car", "a dog", VideoSpec(64, 48, 9), sampling=sampling)
    )


def digest(engine: BundleEngine, job: PreparedJob) -> str:
    """SHA-256 over all pixels of the job's clip."""
    whole = hashlib.sha256()
    for event in engine.generate(job, CancelFlag()):
        if isinstance(event, FrameReady):
            whole.update(event.pixels.tobytes())
    return whole.hexdigest()


def digest_of_clip(bundle: Path, picture: Path, seed: int) -> str:
    engine = open_bundle(bundle)
    return digest(engine, prepare(engine, picture, seed))


@pytest.fixture
def picture(tmp_path: Path, png: Callable[..., bytes]) -> Path:
    file = tmp_path / "picture.png"
    file.write_bytes(png(64, 48))
    return file


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tiny_bundle: Path, picture: Path) -> None:
    engine = open_bundle(tiny_bundle)
    first, other, again = (digest(engine, prepare(engine, picture, seed)) for seed in (7, 8, 7))
    assert first == again
    assert first != other


def test_another_process_gives_the_same_bytes_and_needs_no_training_library(tiny_bundle: Path, picture: Path) -> None:
    here = digest_of_clip(tiny_bundle, picture, 7)
    there = subprocess.run(
        [sys.executable, "-c", _ANOTHER_PROCESS, str(tiny_bundle), str(picture), "7"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == [here]


def test_a_seed_that_was_drawn_can_be_given_back(tiny_bundle: Path, picture: Path) -> None:
    engine = open_bundle(tiny_bundle)
    drawn, next_drawn = prepare(engine, picture, None), prepare(engine, picture, None)
    assert drawn.settings.seed != next_drawn.settings.seed
    assert digest(engine, drawn) == digest(engine, prepare(engine, picture, drawn.settings.seed))


def test_the_noise_of_a_seed_never_changes(tiny_bundle: Path, picture: Path) -> None:
    """Pinned: another numpy, another machine and another release must draw these very numbers."""
    settings = prepare(open_bundle(tiny_bundle), picture, 7).settings
    manifest, _ = read_manifest(tiny_bundle)
    noise = seeded_noise(settings, manifest)
    assert noise.dtype == np.float32
    assert noise.shape == (1, 16, 3, 6, 8)
    assert noise.ravel()[:4].tolist() == [
        -0.5023735761642456,
        0.5068453550338745,
        2.019348621368408,
        0.8514957427978516,
    ]
    largest = seeded_noise(replace(settings, seed=2**63 - 1), manifest)
    assert not np.array_equal(largest, noise)


def test_the_noise_has_the_shape_of_the_family(tiny_bundle: Path, picture: Path) -> None:
    settings = prepare(open_bundle(tiny_bundle), picture, 7).settings
    manifest, _ = read_manifest(tiny_bundle)
    of_5b = manifest.with_changes(latent=LatentSpec(channel_count=48, spatial_stride=16, temporal_stride=4))
    clip = replace(settings, width_px=96, height_px=64, frame_count=21)
    assert seeded_noise(clip, of_5b).shape == (1, 48, 6, 4, 6)
