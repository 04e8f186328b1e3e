"""Turns a finished checkpoint into working state, so that it can be trained further on another machine.

Autoencoder and text encoder count as finished; both experts and the decoder start new runs from the checkpoint's
weights. Those runs need nothing that a checkpoint lacks (optimiser states, the parent of the experts, the training
heads of the text encoder).
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from tokenizers import Tokenizer
from torch import nn
from transformers import UMT5EncoderModel

from pocket.settings import RUNS
from pocket.train.decoder import RUN as DECODER
from pocket.train.flow import EXPERTS, PARENT
from pocket.train.latents import save_scaling
from pocket.train.loop import MovingAverage
from pocket.train.state import save_state
from pocket.train.text import PIECES_NAME, CaptionReader
from pocket.train.vae import STAGES, build_vae


def adopt(checkpoint: Path, folder: Path) -> None:
    """Write working state for a checkpoint into `folder`. Raises FileExistsError if the folder already holds runs."""
    if any(folder.glob("*.pt")):
        raise FileExistsError(f"{folder} holds runs already: choose another --folder, or continue these runs")
    folder.mkdir(parents=True, exist_ok=True)
    pieces = Tokenizer.from_file(str(checkpoint / "tokenizer" / "tokenizer.json"))
    pieces.no_padding()
    pieces.no_truncation()
    pieces.save(str(folder / PIECES_NAME))
    trained = AutoencoderKLWan.from_pretrained(checkpoint / "vae").float()
    save_scaling(folder, torch.tensor(trained.config.latents_mean), torch.tensor(trained.config.latents_std))
    vae = build_vae()
    vae.load_state_dict(trained.state_dict())
    for run, _ in STAGES:
        _save(folder, run, vae, is_finished=True)
    _save(folder, DECODER, vae, is_finished=False)
    reader = CaptionReader(pieces.get_vocab_size())
    encoder = UMT5EncoderModel.from_pretrained(checkpoint / "text_encoder").float()
    reader.encoder.load_state_dict(encoder.state_dict())
    _save(folder, "text", reader, is_finished=True)
    for run, part in zip(EXPERTS, ("transformer", "transformer_2"), strict=True):
        expert = WanTransformer3DModel.from_pretrained(checkpoint / part).float()
        _save(folder, run, expert, is_finished=False)
    _save(folder, PARENT, expert, is_finished=True)  # `train_parent` loads it; both experts have their own weights


def _save(folder: Path, run: str, module: nn.Module, *, is_finished: bool) -> None:
    step = RUNS[run].step_count if is_finished else 0
    save_state(folder / f"{run}.pt", step, module, (), MovingAverage(module).values)
