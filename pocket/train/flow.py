"""Trains the diffusion transformers by flow matching.

x_t = (1 - sigma) x_0 + sigma noise; the model predicts the velocity noise - x_0 at timestep 1000 sigma. A parent is
trained on all noise levels, then two experts are fine-tuned from it, one on each side of the boundary.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from tokenizers import Tokenizer
from torch import Tensor

from pocket.settings import BOUNDARY_RATIO, FLOW_SHIFT, LATENT_CHANNELS, RUNS
from pocket.train.attention import attend_plainly, shorten
from pocket.train.clips import training_spec
from pocket.train.emphasis import emphasis
from pocket.train.latents import LatentSet
from pocket.train.loop import train
from pocket.train.text import TEXT_DIM, CaptionReader, tokenise
from pocket.world import LANGUAGES, caption

PARENT = "transformer"
EXPERTS = ("expert_high", "expert_low")

_EMPTY_CAPTION_SHARE = 0.1
_MASK_CHANNELS = 4
_PROJECTIONS = ("patch_embedding", "proj_out", "condition_embedder")


def build_transformer() -> WanTransformer3DModel:
    """Build one untrained transformer (3.3 M parameters)."""
    torch.manual_seed(2)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=6,
        attention_head_dim=32,
        in_channels=2 * LATENT_CHANNELS + _MASK_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=128,
        ffn_dim=512,
        num_layers=6,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )


def train_parent(folder: Path, latents: LatentSet, pieces: Tokenizer, reader: CaptionReader) -> WanTransformer3DModel:
    """Train (or load) one transformer on all noise levels."""
    return _train(folder, PARENT, build_transformer(), latents=latents, pieces=pieces, reader=reader)


def train_experts(
    folder: Path,
    parent: WanTransformer3DModel,
    latents: LatentSet,
    pieces: Tokenizer,
    reader: CaptionReader,
) -> tuple[WanTransformer3DModel, WanTransformer3DModel]:
    """Fine-tune (or load) two copies of the parent: (high noise, low noise)."""
    experts = []
    for name in EXPERTS:
        model = build_transformer()
        model.load_state_dict(parent.state_dict())
        experts.append(_train(folder, name, model, latents=latents, pieces=pieces, reader=reader))
    high, low = experts
    return high, low


def sample_sigmas(name: str, rng: np.random.Generator, count: int) -> Tensor:
    """Draw noise levels [count] in 0..1 for run `name`: half uniform, half distributed like the shifted schedule."""
    lowest, highest = {"expert_high": (BOUNDARY_RATIO, 1.0), "expert_low": (0.0, BOUNDARY_RATIO)}.get(name, (0.0, 1.0))
    even = rng.uniform(lowest, highest, count)
    u = rng.uniform(_unshift(lowest), _unshift(highest), count)
    shifted = FLOW_SHIFT * u / (1.0 + (FLOW_SHIFT - 1.0) * u)
    return torch.from_numpy(np.where(rng.random(count) < 0.5, even, shifted)).float()


def _unshift(sigma: float) -> float:
    """Invert the schedule's shift for one noise level."""
    return sigma / (FLOW_SHIFT - (FLOW_SHIFT - 1.0) * sigma)


def _train(
    folder: Path,
    name: str,
    model: WanTransformer3DModel,
    *,
    latents: LatentSet,
    pieces: Tokenizer,
    reader: CaptionReader,
) -> WanTransformer3DModel:
    device = next(reader.parameters()).device
    model.to(device)
    processor = attend_plainly(model)
    batch = RUNS[name].batch_size
    mask = first_frame_mask(latents.clips[:1]).to(device)
    forward: Callable[..., tuple[Tensor]] = torch.compile(model)  # takes two thirds as long on a CPU

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([step, RUNS[name].step_count])
        chosen = rng.integers(len(latents.clips), size=batch)
        ids, token_mask = tokenise(pieces, [_caption(int(i), rng) for i in chosen])
        token_mask = token_mask.to(device)
        with torch.no_grad():
            states = reader.encoder(ids.to(device), token_mask).last_hidden_state
        rows, processor.offsets = shorten(states, token_mask)
        clean = latents.clips[chosen].to(device)
        sigma = sample_sigmas(name, rng, batch).to(device)
        share = sigma.view(-1, 1, 1, 1, 1)
        noise = torch.randn_like(clean)
        noisy = (1.0 - share) * clean + share * noise
        condition = latents.conditions[chosen].to(device)
        channels = torch.cat([noisy, mask.expand(batch, -1, -1, -1, -1), condition], dim=1)
        with torch.autocast(device.type, torch.bfloat16):
            velocity = forward(channels, 1000.0 * sigma, rows, return_dict=False)[0]
        return flow_loss(velocity.float(), noise - clean, sigma, emphasis(chosen).to(device))

    train(name, model, loss_of_step, RUNS[name], folder, adam_only=_PROJECTIONS)
    return model


def flow_loss(velocity: Tensor, wanted: Tensor, sigma: Tensor, weights: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the squared error weighted by `sigma` [batch] and by `weights`, and the unweighted mean for the log.

    Even the best prediction of the velocity has an error that grows about as 1 / sigma as noise falls. Unweighted,
    training would mostly fit the fine grain of nearly clean latents.
    """
    squared = (velocity - wanted).square()
    loss = (squared * weights * sigma.view(-1, 1, 1, 1, 1)).sum() / weights.expand_as(squared).sum()
    return loss, {"squared_error": float(squared.detach().mean())}


def first_frame_mask(latents: Tensor) -> Tensor:
    """Return the mask of given frames, 1 in the first: [batch, 16, frames, h, w] -> [batch, 4, frames, h, w]."""
    batch, _, frames, height, width = latents.shape
    mask = torch.zeros(batch, _MASK_CHANNELS, frames, height, width)
    mask[:, :, 0] = 1.0
    return mask


def _caption(index: int, rng: np.random.Generator) -> str:
    if rng.random() < _EMPTY_CAPTION_SHARE:
        return ""
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    return caption(training_spec(index), language, int(rng.integers(2**31)))
