"""The order in which the parts of the model are trained, and which run each part of the checkpoint comes from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from tokenizers import Tokenizer
from transformers import SiglipModel

from pocket.settings import CLIP_COUNT
from pocket.train.clips import load_training_frames
from pocket.train.decoder import RUN as DECODER
from pocket.train.decoder import train_decoder
from pocket.train.export import SCORER_NAME, finish_vae, write_pipeline, write_scorer
from pocket.train.flow import EXPERTS, build_transformer, train_experts, train_parent
from pocket.train.latents import LatentSet, encode_training_set
from pocket.train.scorer import JointEmbeddings, build_scorer, train_scorer
from pocket.train.state import load_average
from pocket.train.text import CaptionReader, load_pieces, train_text
from pocket.train.vae import build_vae, train_vae


@dataclass(frozen=True)
class Workshop:
    """Trains the parts of the model, or loads finished ones from the working state in `folder`.

    A part trains the parts that it depends on first.
    """

    folder: Path
    device: torch.device

    def vae(self) -> AutoencoderKLWan:
        """Train or load the autoencoder."""
        return train_vae(self.folder, self.device).requires_grad_(False).eval()

    def text(self) -> tuple[Tokenizer, CaptionReader]:
        """Train or load tokenizer and text encoder."""
        pieces, reader = train_text(self.folder, self.device)
        return pieces, reader.requires_grad_(False).eval()

    def latents(self) -> LatentSet:
        """Encode the training clips, or load their latents."""
        frames = load_training_frames(self.folder / "cache", CLIP_COUNT)
        return encode_training_set(self.vae(), frames, self.folder)

    def decoder(self) -> AutoencoderKLWan:
        """Train or load the autoencoder with its fine-tuned decoder."""
        frames = load_training_frames(self.folder / "cache", CLIP_COUNT)
        return train_decoder(self.vae(), frames, self.latents(), self.folder, self.device)

    def parent(self) -> WanTransformer3DModel:
        """Train or load the transformer for all noise levels."""
        return train_parent(self.folder, self.latents(), *self.text())

    def experts(self) -> tuple[WanTransformer3DModel, WanTransformer3DModel]:
        """Train or load both experts: (high noise, low noise)."""
        return train_experts(self.folder, self.parent(), self.latents(), *self.text())

    def scorer(self) -> SiglipModel:
        """Train or load the match scorer."""
        return train_scorer(self.folder, self.device)[1]

    def write_checkpoint(self, target: Path) -> None:
        """Write a checkpoint from the averaged weights of all runs so far; an expert without a run is the parent.

        A scorer already in `target` stays unless this folder holds a trained one.
        """
        latents = self.latents()
        pieces = load_pieces(self.folder)
        reader = CaptionReader(pieces.get_vocab_size())
        load_average(self.folder / "text.pt", reader)
        vae = build_vae()
        load_average(self._latest(DECODER, "vae_whole", "vae_clips", "vae_pictures"), vae)
        high, low = build_transformer(), build_transformer()
        for name, model in zip(EXPERTS, (high, low), strict=True):
            load_average(self._latest(name, "transformer"), model)
        finished = finish_vae(vae, latents.mean, latents.std)
        write_pipeline(
            target,
            pieces=pieces,
            text_encoder=reader.encoder,
            vae=finished,
            high=high,
            low=low,
        )
        if (self.folder / "scorer.pt").exists():
            self.write_scorer(target)

    def write_scorer(self, target: Path) -> None:
        """Write only the scorer's averaged weights; the rest of the checkpoint stays as it is."""
        pieces = load_pieces(self.folder)
        scorer = build_scorer(pieces.get_vocab_size())
        load_average(self.folder / "scorer.pt", JointEmbeddings(scorer))
        write_scorer(target / SCORER_NAME, pieces, scorer)

    def _latest(self, *names: str) -> Path:
        paths = [self.folder / f"{name}.pt" for name in names]
        return next(path for path in paths if path.exists())
