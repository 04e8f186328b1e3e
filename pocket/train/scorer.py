"""Trains the match scorer: a very small SigLIP, supervised for whole pictures and for each patch.

The synthetic world gives the exact label of every picture-sentence pair in a batch and the place of the subject, so no
pair is a false negative.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import SiglipConfig, SiglipModel

from export.tracing.scorer import ScorerImageGraph, ScorerTextGraph
from pocket.settings import CLIP_COUNT, RUNS, SCORER_PATCH_PX, SCORER_TOKENS
from pocket.train.claims import Claim, draw_claim
from pocket.train.loop import train
from pocket.train.stills import load_stills
from pocket.train.text import load_pieces, tokenise
from pocket.world import PICTURE_PX, ClipSpec

_POSITIVE_WEIGHT = 6.0
_OWN_WEIGHT = 8.0
"""Weight of the pair of a sentence and its own picture, which is the hard one: it may be wrong in a single part."""
_PATCH_WEIGHT = 3.0
_PATCH_POSITIVE_WEIGHT = 4.0
_EMBEDDINGS = ("embedding", "probe", "heads", "in_proj")


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
        vision_config={**shared, "image_size": PICTURE_PX, "patch_size": SCORER_PATCH_PX},
    )
    scorer = SiglipModel(config)
    torch.nn.init.constant_(scorer.logit_scale, np.log(10.0))
    torch.nn.init.constant_(scorer.logit_bias, -5.0)
    return scorer


class JointEmbeddings(nn.Module):
    """Scores of sentences against pictures and patches, computed by the modules that the exporter traces."""

    def __init__(self, scorer: SiglipModel) -> None:
        super().__init__()
        self.scorer = scorer
        # In lists, so that the parameters are not registered twice.
        self._text, self._image = [ScorerTextGraph(scorer)], [ScorerImageGraph(scorer)]

    def forward(self, ids: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [captions, pictures] and [captions, pictures, patches].

        ids: [captions, 64] int64; pixels: [pictures, 3, height, width] float32 in -1..1.
        """
        texts = self._text[0](ids)
        pictures, patches = self._image[0](pixels)
        scale, bias = self.scorer.logit_scale.exp(), self.scorer.logit_bias
        of_patches = torch.einsum("cd,ipd->cip", texts, patches)
        return scale * (texts @ pictures.T) + bias, scale * of_patches + bias


def train_scorer(folder: Path, device: torch.device) -> tuple[Tokenizer, SiglipModel]:
    """Train (or load) the scorer; return its tokenizer and the model."""
    stills = load_stills(folder / "cache", CLIP_COUNT)
    pieces = load_pieces(folder)
    joint = JointEmbeddings(build_scorer(pieces.get_vocab_size())).to(device)
    batch = RUNS["scorer"].batch_size

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([step, 7])
        chosen = rng.integers(len(stills.pictures), size=batch)
        specs = [stills.spec(int(index)) for index in chosen]
        claims, texts = zip(*[draw_claim(spec, rng) for spec in specs], strict=True)
        labels = torch.tensor([[claim.fits(spec) for spec in specs] for claim in claims])
        ids, _ = tokenise(pieces, texts)
        ids = functional.pad(ids[:, :SCORER_TOKENS], (0, max(0, SCORER_TOKENS - ids.shape[1])))
        pixels = to_scorer_pixels(stills.pictures[chosen])
        of_pictures, of_patches = joint(ids.to(device), pixels.to(device))
        loss, figures = sigmoid_loss(of_pictures, labels.to(device))
        wanted = patch_targets(claims, specs, torch.from_numpy(stills.shares[chosen]))
        of_place = patch_loss(of_patches, wanted.to(device))
        return loss + _PATCH_WEIGHT * of_place, {**figures, "place": float(of_place.detach())}

    train("scorer", joint, loss_of_step, RUNS["scorer"], folder, adam_only=_EMBEDDINGS)
    return pieces, joint.scorer


def sigmoid_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the sigmoid loss over all pairs, and accuracies for the log.

    logits, labels: [captions, pictures], each caption's own picture on the diagonal.
    """
    weights = torch.where(labels, _POSITIVE_WEIGHT, 1.0)
    weights = weights * torch.where(torch.eye(len(labels), dtype=torch.bool, device=labels.device), _OWN_WEIGHT, 1.0)
    loss = functional.binary_cross_entropy_with_logits(logits, labels.float(), weights)
    right = (logits > 0) == labels
    own = right.diagonal()
    figures = {
        "hit": float(right[labels].float().mean()),
        "reject": float(right[~labels].float().mean()),
        "own": float(own.float().mean()),
    }
    return loss, figures


def patch_targets(claims: tuple[Claim, ...], specs: list[ClipSpec], shares: Tensor) -> Tensor:
    """Return the share of each patch that shows what a caption names: [captions, pictures, patches].

    For a true caption that names the subject, the subject's share of the patch; for one that names the scene alone, the
    rest of the patch; 0 for false captions. shares: [pictures, patches], the subject's share.
    """
    shown = torch.tensor([[claim.fits(spec) for spec in specs] for claim in claims])
    names_subject = torch.tensor([claim.subject is not None for claim in claims])[:, None, None]
    wanted = torch.where(names_subject, shares[None], 1.0 - shares[None])
    return torch.where(shown[..., None], wanted, 0.0)


def patch_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the sigmoid loss over all patches. logits, wanted: [captions, pictures, patches]."""
    weights = 1.0 + (_PATCH_POSITIVE_WEIGHT - 1.0) * wanted
    return functional.binary_cross_entropy_with_logits(logits, wanted, weights)


def to_scorer_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """[batch, height, width, 3] uint8 -> [batch, 3, height, width] in -1..1 (mean = std = 0.5)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0
