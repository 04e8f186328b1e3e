"""Training of the match scorer: a very small SigLIP with exact labels.

The world knows which caption fits which picture, so that every pair of a batch has a true label
and none is a false negative. Knows pictures and captions. Does not know latents.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import SiglipConfig, SiglipModel

from pocket.settings import CLIP_COUNT, RUNS, SCORER_TOKENS
from pocket.train.clips import load_training_frames, training_spec
from pocket.train.loop import train
from pocket.train.text import load_pieces, tokenise
from pocket.world import (
    LANGUAGES,
    PICTURE_PX,
    ClipSpec,
    caption,
    is_plausible,
    scene_caption,
    still_caption,
)

_POSITIVE_WEIGHT = 6.0
_EMBEDDINGS = ("embedding", "probe", "heads", "in_proj")


@dataclass(frozen=True)
class Claim:
    """What a caption says; None where it says nothing."""

    subject: str | None
    colour: str | None
    scene: str | None
    action: str | None

    def fits(self, spec: ClipSpec) -> bool:
        """Tell whether a still picture of `spec` can be told this way."""
        named = ((self.subject, spec.subject), (self.colour, spec.colour), (self.scene, spec.scene))
        if any(said is not None and said != shown for said, shown in named):
            return False
        return self.action is None or is_plausible(spec.subject, spec.scene, self.action)


def build_scorer(vocabulary_size: int) -> SiglipModel:
    """Build the untrained scorer (about 1 M parameters)."""
    torch.manual_seed(3)
    shared = {
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    config = SiglipConfig(
        text_config={
            **shared,
            "vocab_size": vocabulary_size,
            "max_position_embeddings": SCORER_TOKENS,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 1,
        },
        vision_config={**shared, "image_size": PICTURE_PX, "patch_size": 8},
    )
    scorer = SiglipModel(config)
    torch.nn.init.constant_(scorer.logit_scale, np.log(10.0))
    torch.nn.init.constant_(scorer.logit_bias, -5.0)
    return scorer


def train_scorer(folder: Path, device: torch.device) -> tuple[Tokenizer, SiglipModel]:
    """Train (or load) the scorer."""
    frames = load_training_frames(folder / "cache", CLIP_COUNT)
    pieces = load_pieces(folder)
    scorer = build_scorer(pieces.get_vocab_size()).to(device)
    batch = RUNS["scorer"].batch_size

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([step, 7])
        chosen = rng.integers(len(frames), size=batch)
        times = rng.integers(frames.shape[1], size=batch)
        pictures = np.stack([frames[c, t] for c, t in zip(chosen, times, strict=True)])
        specs = [training_spec(int(index)) for index in chosen]
        claims, texts = zip(*[_describe(spec, rng) for spec in specs], strict=True)
        labels = torch.tensor([[claim.fits(spec) for spec in specs] for claim in claims])
        ids, _ = tokenise(pieces, texts)
        ids = functional.pad(ids[:, :SCORER_TOKENS], (0, max(0, SCORER_TOKENS - ids.shape[1])))
        output = scorer(input_ids=ids.to(device), pixel_values=to_scorer_pixels(pictures).to(device))
        return sigmoid_loss(output.logits_per_text, labels.to(device))

    train("scorer", scorer, loss_of_step, RUNS["scorer"], folder, adam_only=_EMBEDDINGS)
    return pieces, scorer


def sigmoid_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Sigmoid loss over all pairs. logits, labels: [captions, pictures]."""
    weights = torch.where(labels, _POSITIVE_WEIGHT, 1.0)
    loss = functional.binary_cross_entropy_with_logits(logits, labels.float(), weights)
    right = (logits > 0) == labels
    figures = {
        "hit": float(right[labels].float().mean()),
        "reject": float(right[~labels].float().mean()),
    }
    return loss, figures


def to_scorer_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """[batch, height, width, 3] uint8 -> [batch, 3, height, width] in -1..1 (mean = std = 0.5)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _describe(spec: ClipSpec, rng: np.random.Generator) -> tuple[Claim, str]:
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    seed = int(rng.integers(2**31))
    kind = rng.random()
    if kind < 0.15:
        return Claim(None, None, spec.scene, None), scene_caption(spec.scene, language, seed)
    if kind < 0.35:
        claim = Claim(spec.subject, spec.colour, spec.scene, spec.action)
        return claim, caption(spec, language, seed, always_complete=True)
    colour = spec.colour if rng.random() < 0.6 else None
    scene = spec.scene if rng.random() < 0.5 else None
    text = still_caption(spec.subject, colour, scene, language, seed)
    return Claim(spec.subject, colour, scene, None), text
