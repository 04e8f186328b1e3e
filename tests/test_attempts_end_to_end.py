"""Attempts on real models, with a fit written by hand, through a worker process and a real server."""

from __future__ import annotations

import asyncio
import math
import shutil
from functools import partial
from pathlib import Path

import pytest

from engine import launch_worker_engine, open_engine
from engine.api.settings import EngineSettings
from engine.bundle.folder import read_manifest
from engine.bundle.scorer_spec import ClipSuccessSpec, FactorSpec
from stillcue.v1 import attempts_pb2, capabilities_pb2, generate_pb2
from tests.attempting import ACCEPTED
from tests.serving import generate_request, read_all, served

# Log odds of a clip: minus the noise of its first frame, which is (40 dB - PSNR) / 10.
FIT = ClipSuccessSpec(
    offset=0.0,
    factors=(FactorSpec(name="first_frame_noise", weight=-1.0),),
    accept_from=0.999,
    outcome_count=0,
    area_under_curve=0.5,
    brier_score=0.25,
    calibration_error=0.5,
)


async def test_of_two_attempts_the_better_one_is_delivered(tiny_bundle: Path, tmp_path: Path) -> None:
    await deliver_the_better_of_two(tiny_bundle, tmp_path)


@pytest.mark.walk
async def test_of_two_attempts_of_pocket_the_better_one_is_delivered(tmp_path: Path) -> None:
    await deliver_the_better_of_two(Path("pocket/model"), tmp_path)


async def deliver_the_better_of_two(folder: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(folder, tmp_path / "bundle")
    manifest, _ = read_manifest(bundle)
    assert manifest.scorer is not None
    fitted = manifest.with_changes(scorer=manifest.scorer.with_changes(clip_success=FIT))
    (bundle / "bundle.json").write_text(fitted.to_json())
    sampling = generate_pb2.SamplingSpec(seed=7, step_count=1)
    attempts = attempts_pb2.Attempts(maximum_count=2, frames=ACCEPTED)
    asked = generate_request(prompt="a white cat jumps to the left", sampling=sampling, attempts=attempts)
    opened = launch_worker_engine(partial(open_engine, bundle, EngineSettings(thread_count=1)))
    engine = await asyncio.to_thread(opened)
    async with served(engine) as server:
        told = await server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
        assert told.attempts == attempts_pb2.AttemptSupport(accept_from=0.999, maximum_count=8)
        messages = await read_all(server.stub.Generate(asked))
        summary = messages[-1].summary
        alone = generate_request(prompt=asked.prompt, sampling={"seed": summary.settings.seed, "step_count": 1})
        single = await read_all(server.stub.Generate(alone))
    assert [(item.number, item.seed, item.accepted) for item in summary.attempts] == [(1, 7, False), (2, 8, False)]
    assert summary.attempts_end == attempts_pb2.ATTEMPTS_END_MAXIMUM_COUNT
    chances = [item.success.probability for item in summary.attempts]
    assert summary.delivered_attempt == 1 + chances.index(max(chances))
    assert summary.settings.seed == 6 + summary.delivered_attempt
    noise = max(40.0 - summary.first_frame_psnr_db, 0.0) / 10.0
    assert noise > 0.0
    assert summary.success.probability == pytest.approx(1.0 / (1.0 + math.exp(noise)))
    frames = [message.frame.data for message in messages if message.HasField("frame")]
    assert frames == [message.frame.data for message in single if message.HasField("frame")]
    assert summary.success == single[-1].summary.success
