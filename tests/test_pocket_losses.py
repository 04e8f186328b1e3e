"""Weights in pocket's losses (subject, its size, noise level), and latents that are encoded only once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from pocket.train import latents as latents_module
from pocket.train.clips import training_spec
from pocket.train.emphasis import emphasis, frame_emphasis
from pocket.train.flow import flow_loss
from pocket.train.latents import encode_training_set, save_scaling, unscale
from pocket.train.vae import to_pixels
from pocket.world import FRAME_COUNT, PICTURE_PX, render_clip


def test_emphasis_lies_on_the_drawn_subject() -> None:
    for index in range(12):
        masks = render_clip(training_spec(index)).masks > 0.5
        weights = frame_emphasis(np.array([index]))[0, 0].numpy()
        assert weights.shape == (FRAME_COUNT, PICTURE_PX, PICTURE_PX)
        assert (weights[masks] > 1.0).mean() > 0.97
        assert weights[masks].mean() > 1.5 * weights[~masks].mean()
        assert (weights == 1.0).mean() > 0.2


def test_small_subject_counts_more_for_each_cell() -> None:
    indices = np.arange(400)
    away = next(i for i in indices if training_spec(int(i)).action == "goes_away")
    closer = next(i for i in indices if training_spec(int(i)).action == "comes_closer")
    assert emphasis(np.array([away]))[0, 0, -1].max() > 1.4 * emphasis(np.array([closer]))[0, 0, -1].max()


def test_flow_loss_by_hand() -> None:
    wanted = torch.zeros(2, 1, 1, 1, 2)
    velocity = torch.tensor([[1.0, 2.0], [3.0, 0.0]]).view(2, 1, 1, 1, 2)
    weights = torch.tensor([[1.0, 3.0], [1.0, 1.0]]).view(2, 1, 1, 1, 2)
    loss, figures = flow_loss(velocity, wanted, torch.tensor([0.5, 1.0]), weights)
    assert float(loss) == pytest.approx((0.5 * (1.0 + 3.0 * 4.0) + 9.0) / 6.0)
    assert figures["squared_error"] == pytest.approx((1.0 + 4.0 + 9.0) / 4.0)


def _tiny_vae() -> AutoencoderKLWan:
    torch.manual_seed(5)
    return AutoencoderKLWan(base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()


def test_interrupted_encoding_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents_module, "_SHARD_CLIPS", 2)
    frames = np.random.default_rng(0).integers(0, 256, (5, 5, 16, 16, 3), dtype=np.uint8)
    vae = _tiny_vae()
    encoded: list[int] = []
    real = vae.encode

    def encode(pixels: torch.Tensor) -> object:
        if len(encoded) == 3:
            encoded.append(0)
            raise KeyboardInterrupt
        encoded.append(len(pixels))
        return real(pixels)

    monkeypatch.setattr(vae, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        encode_training_set(vae, frames, tmp_path)
    found = encode_training_set(vae, frames, tmp_path)
    assert encoded == [2, 2, 2, 0, 2, 2, 1, 1]  # clips and conditions of three shards, the second begun twice
    with torch.inference_mode():
        expected = real(to_pixels(frames)).latent_dist.mode()
    torch.testing.assert_close(unscale(found.clips, found.mean, found.std), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.clips.mean((0, 2, 3, 4)), torch.zeros(16), rtol=0.0, atol=1e-4)


def test_given_scaling_is_kept(tmp_path: Path) -> None:
    save_scaling(tmp_path, torch.full((16,), 0.25), torch.full((16,), 2.0))
    frames = np.zeros((1, 5, 16, 16, 3), dtype=np.uint8)
    found = encode_training_set(_tiny_vae(), frames, tmp_path)
    assert float(found.mean[3]) == 0.25
    assert float(found.std[3]) == 2.0
