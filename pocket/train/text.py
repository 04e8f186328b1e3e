"""Trains the text encoder to classify captions.

Temporary heads predict subject, colour, scene, action and light from the pooled encoder states. Afterwards the heads
are dropped and the encoder is frozen.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import UMT5Config, UMT5EncoderModel

from pocket.settings import RUNS
from pocket.train.loop import train
from pocket.train.tokens import train_pieces
from pocket.world import (
    ACTIONS,
    COLOURS,
    LANGUAGES,
    LIGHTS,
    SCENES,
    SUBJECTS,
    ClipSpec,
    caption,
    sample_spec,
)

TEXT_DIM = 96
PIECES_NAME = "pieces.json"

_FEATURES: dict[str, list[str]] = {
    "subject": list(SUBJECTS),
    "colour": list(COLOURS),
    "scene": list(SCENES),
    "action": list(ACTIONS),
    "light": list(LIGHTS),
}


class CaptionReader(nn.Module):
    """A text encoder with one classification head for each feature of a clip."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder = UMT5EncoderModel(
            UMT5Config(
                vocab_size=vocabulary_size,
                d_model=TEXT_DIM,
                d_kv=24,
                d_ff=256,
                num_layers=2,
                num_heads=4,
                dropout_rate=0.0,
                relative_attention_max_distance=64,
            )
        )
        self.heads = nn.ModuleDict({name: nn.Linear(TEXT_DIM, len(values)) for name, values in _FEATURES.items()})

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return logits by feature, [batch, values] each. ids, mask: [batch, tokens] int64."""
        states = self.encoder(ids, mask).last_hidden_state  # [batch, tokens, dim]
        weights = mask[..., None].float()
        pooled = (states * weights).sum(1) / weights.sum(1)
        return {name: head(pooled) for name, head in self.heads.items()}


def train_text(folder: Path, device: torch.device) -> tuple[Tokenizer, CaptionReader]:
    """Train (or load) the text encoder; return its tokenizer and the encoder with heads."""
    pieces = load_pieces(folder)
    reader = CaptionReader(pieces.get_vocab_size()).to(device)
    batch = RUNS["text"].batch_size

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        specs = [sample_spec(step * batch + index) for index in range(batch)]
        texts = [caption(s, LANGUAGES[i % 2], step * batch + i) for i, s in enumerate(specs)]
        ids, mask = tokenise(pieces, texts)
        logits = reader(ids.to(device), mask.to(device))
        return _naming_loss(logits, specs, device)

    train("text", reader, loss_of_step, RUNS["text"], folder, adam_only=("shared", "heads", "bias"))
    return pieces, reader


def load_pieces(folder: Path) -> Tokenizer:
    """Load the tokenizer from `folder`, training and saving it first if it is missing."""
    path = folder / PIECES_NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        train_pieces().save(str(path))
    return Tokenizer.from_file(str(path))


def tokenise(pieces: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, [batch, longest] int64 each, padded with 0 on the right."""
    rows = [encoding.ids for encoding in pieces.encode_batch(list(texts))]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
    return ids, (ids != 0).long()


def _naming_loss(
    logits: dict[str, Tensor], specs: Sequence[ClipSpec], device: torch.device
) -> tuple[Tensor, dict[str, float]]:
    loss = torch.zeros((), device=device)
    figures: dict[str, float] = {}
    for name, values in _FEATURES.items():
        indices = np.array([values.index(getattr(spec, name)) for spec in specs])
        target = torch.from_numpy(indices).to(device)
        loss = loss + functional.cross_entropy(logits[name], target)
        figures[name] = float((logits[name].argmax(1) == target).float().mean())
    return loss, figures
