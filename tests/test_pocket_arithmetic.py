"""The faster arithmetic that trains pocket equals the libraries' on random small models."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import nn

from pocket.settings import TEXT_TOKENS
from pocket.train.attention import attend_plainly, shorten
from pocket.train.fast_vae import decode_at_once, make_cheap
from pocket.train.optimiser import Muon, orthogonalise


def _transformer(rng: np.random.Generator) -> WanTransformer3DModel:
    torch.manual_seed(int(rng.integers(1000)))
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=int(rng.integers(1, 4)),
        attention_head_dim=int(rng.choice((12, 24, 32))),
        in_channels=9,
        out_channels=4,
        text_dim=10,
        freq_dim=16,
        ffn_dim=int(rng.integers(20, 60)),
        num_layers=int(rng.integers(1, 4)),
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )


@pytest.mark.parametrize("seed", range(4))
def test_plain_attention_over_short_captions_equals_the_library_over_padded_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = _transformer(rng)
    lengths = rng.integers(1, 40, size=3)
    states = torch.randn(3, int(lengths.max()), 10)
    mask = (torch.arange(states.shape[1])[None] < torch.from_numpy(lengths)[:, None]).long()
    padded = torch.zeros(3, TEXT_TOKENS, 10)
    padded[:, : states.shape[1]] = states * mask[..., None]
    latents = torch.randn(3, 9, int(rng.integers(1, 4)), 2 * int(rng.integers(1, 4)), 4)
    times = torch.rand(3) * 1000.0

    def run(rows: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad()
        velocity = model(latents, times, rows, return_dict=False)[0]
        velocity.square().sum().backward()
        return velocity.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected, expected_gradients = run(padded)
    cross = attend_plainly(model)
    rows, cross.offsets = shorten(states, mask)
    found, gradients = run(rows)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert len(gradients) == len(expected_gradients)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4 * max(1.0, float(wanted.abs().max())))


def test_captions_of_ordinary_length_have_one_shape() -> None:
    shapes = {
        shorten(torch.randn(2, length, 5), torch.ones(2, length, dtype=torch.long))[0].shape for length in (3, 17, 31)
    }
    assert shapes == {(2, 32, 5)}


@pytest.mark.parametrize("seed", range(3))
def test_clips_decoded_at_once_equal_those_decoded_piece_by_piece(seed: int) -> None:
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    downsampled = [False, True, True] if seed else [True, False, True]
    vae = AutoencoderKLWan(
        base_dim=int(rng.integers(2, 5)),
        z_dim=int(rng.integers(2, 6)),
        dim_mult=[1, 2, 2, 3],
        num_res_blocks=int(rng.integers(1, 3)),
        temperal_downsample=downsampled,
    )
    latents = torch.randn(2, vae.config.z_dim, int(rng.integers(1, 5)), 2, 3)
    with torch.no_grad():
        expected = vae.decode(latents).sample
        found = decode_at_once(make_cheap(vae))(latents).clamp(-1.0, 1.0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_matrices_of_one_shape_are_updated_together_as_each_alone() -> None:
    torch.manual_seed(3)
    shapes = [(6, 4), (4, 6), (6, 4), (5, 2, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    optimisers = [Muon(together, 0.1), *(Muon([p], 0.1) for p in alone)]
    for _ in range(3):
        for first, second in zip(together, alone, strict=True):
            first.grad = torch.randn_like(first)
            second.grad = first.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first, second, rtol=0.0, atol=1e-2 * math.sqrt(0.1))
    singular = torch.linalg.svdvals(orthogonalise(torch.randn(3, 8, 5)))
    assert bool(((singular > 0.5) & (singular < 1.5)).all())
