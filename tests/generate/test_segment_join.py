"""What a segment of a chain begins from, on graphs that are Python functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.generate.pipeline import Pipeline
from engine.generate.schedule import flow_schedule
from engine.generate.segment_join import FrameEncoder, Opening
from tests.generate.computed_chains import (
    GIVEN_ENCODER,
    Chains,
    chain,
    encoded,
    frames_of,
    noise_of,
)
from tests.generate.computed_clips import (
    LATENT,
    VAE_ENCODER,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.api.media import Pixels
    from engine.runtime.base import Array


def test_a_segment_is_conditioned_on_the_first_given_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    given = frames_of(chains.run(chain(2)))[4:9]
    conditioning = chains.graphs["transformer_high"].calls()[-1]["condition"]
    assert conditioning[0, :4, :, 0, 0].tolist() == [[1.0, 0.0, 0.0]] * 4
    mean = encoded(given[:1])[0, 0, 0, 0, 0]
    np.testing.assert_allclose(conditioning[0, 4, :, 0, 0], [mean, mean, mean + 100.0], rtol=1e-6)


def test_given_frames_are_put_back_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    asked = chain(2)
    solved: list[Array] = []
    run = chains.graphs["guide_and_step"].run

    def record(inputs: Any, outputs: Any) -> None:
        run(inputs, outputs)
        solved.append(outputs["next_latents"].to_host())

    monkeypatch.setattr(chains.graphs["guide_and_step"], "run", record)
    frames = frames_of(chains.run(asked))
    given, noise = encoded(frames[4:9]), noise_of(asked.segments[1].settings)
    sigmas = flow_schedule(4, 5.0, 2).sigmas
    began = [inputs["latents"] for inputs in chains.graphs["guide_and_step"].graphs[2].inputs[4:]]
    np.testing.assert_array_equal(began[0], noise)
    for step in (1, 2, 3):
        expected = (1.0 - sigmas[step]) * given + sigmas[step] * noise[:, :, :2]
        np.testing.assert_allclose(began[step][:, :, :2], expected, rtol=1e-6)
        np.testing.assert_array_equal(began[step][:, :, 2:], solved[4 + step - 1][:, :, 2:])
    init, *steps = (chains.graphs[f"vae_decoder_{name}"].inputs for name in ("init", "step"))
    np.testing.assert_array_equal(init[1]["first"], given[:, :, :1])
    np.testing.assert_array_equal(steps[0][2]["following"], given[:, :, 1:])
    np.testing.assert_array_equal(steps[0][3]["following"], solved[-1][:, :, 2:])


def test_a_single_given_frame_is_the_picture_of_its_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch, is_5b=True)
    events = chains.run(chain(2, 1, guidance_scale_low_noise=None))
    frames = frames_of(events)
    assert len(frames) == 17
    last = np.full(LATENT, (frames[8] / 127.5 - 1.0).mean())
    np.testing.assert_allclose(chains.graphs["transformer"].calls()[-1]["condition"], last, rtol=1e-5)
    np.testing.assert_allclose(chains.graphs["vae_decoder_init"].inputs[1]["first"], last, rtol=1e-5)
    assert chains.runtime.calls.count("vae_encoder_init") == 2
    began = chains.graphs["guide_and_step"].graphs[2].inputs
    assert not np.allclose(began[5]["latents"][:, :, :1], last)  # the solver's own, and nothing is put back


def test_given_frames_are_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch, picture_cache_bytes=1_000_000)
    for _ in range(2):
        chains.run(chain(2))
    encoder = [name for name in chains.runtime.calls if name.startswith("vae_encoder")]
    of_segment = [*VAE_ENCODER, *GIVEN_ENCODER]
    assert encoder == [*VAE_ENCODER, *of_segment, *of_segment]


def test_another_join_gets_frames_noise_and_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Join:
        given_frame_count = 5

        def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
            began.append((frames, noise))
            return Opening(encoder.conditioning_of(frames[-1], noise.shape[2]), lambda latents, sigma: latents + sigma)

    began: list[tuple[Sequence[Pixels], Array]] = []
    chains, asked = Chains(monkeypatch), chain(2)
    model: Any = chains.pipeline._model
    chains.pipeline = Pipeline(replace(model, join=Join()))
    frames = frames_of(chains.run(asked))
    ((given, noise),) = began
    assert [id(item) for item in given] == [id(item) for item in frames[4:9]]
    np.testing.assert_array_equal(noise, noise_of(asked.segments[1].settings))
    mean = encoded(frames[8:9])[0, 0, 0, 0, 0]
    assert chains.graphs["transformer_high"].calls()[-1]["condition"][0, 4, 0, 0, 0] == pytest.approx(mean)
