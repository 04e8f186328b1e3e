"""A SigLIP folder becomes the scorer of a bundle. Knows its configuration; its graphs are in ``export.scorer``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engine.bundle import ScorerSpec, TokenizerSpec
from export.contrast import CONTRAST_SENTENCES
from export.errors import ExportError
from export.scorer import scorer_graphs

if TYPE_CHECKING:
    from transformers import SiglipModel

    from export.weights import ComponentWeights

CONTRAST_NAME = "scorer_contrast.npy"


def export_scorer(
    folder: Path,
    out: Path,
    weights_of: Callable[[Any, str], ComponentWeights],
    add: Callable[..., None],
) -> ScorerSpec:
    """Exports both graphs, the tokenizer and the embeddings of the contrast sentences."""
    from transformers import AutoTokenizer, SiglipModel

    try:
        model = SiglipModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        picture = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    except Exception as error:  # each library has its own errors for damaged files
        raise ExportError(f"cannot load the scorer {folder}: {error}; download it again") from error
    weights = weights_of(model, "scorer")
    image_graph, text_graph = scorer_graphs(model)
    add("scorer_image", None, image_graph, weights)
    add("scorer_text", None, text_graph, weights)
    tokenizer.backend_tokenizer.save(str(out / "scorer_tokenizer.json"))
    text = TokenizerSpec(
        file="scorer_tokenizer.json",
        length=model.config.text_config.max_position_embeddings,
        pad_id=tokenizer.pad_token_id,
        pad_side=tokenizer.padding_side,
        lower_case=True,
    )
    with (out / CONTRAST_NAME).open("wb") as stream:
        np.save(stream, _contrast(model, tokenizer, text))
    return ScorerSpec(
        tokenizer=text,
        image_size_px=model.config.vision_config.image_size,
        resample=picture.get("resample", 3),
        mean=tuple(picture.get("image_mean", (0.5, 0.5, 0.5))),
        std=tuple(picture.get("image_std", (0.5, 0.5, 0.5))),
        logit_scale_log=float(model.logit_scale.detach()),
        logit_bias=float(model.logit_bias.detach()),
        contrast_file=CONTRAST_NAME,
    )


def _contrast(model: SiglipModel, tokenizer: Any, text: TokenizerSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unit embeddings of the contrast sentences, [sentences, size]."""
    tokenizer.padding_side = text.pad_side
    batch = tokenizer(
        [sentence.lower() for sentence in CONTRAST_SENTENCES],
        padding="max_length",
        max_length=text.length,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        embeds = model.text_model(input_ids=batch["input_ids"]).pooler_output
    unit: np.ndarray[Any, np.dtype[np.float32]] = torch.nn.functional.normalize(embeds, dim=-1).numpy()
    return unit
