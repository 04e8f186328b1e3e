"""Scorer graphs and their inputs, against transformers at random configurations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipImageProcessor, SiglipModel

from engine.bundle.graph_spec import GraphSpec
from engine.bundle.scorer_spec import ScorerSpec, TokenizerSpec
from engine.matching.embedding import PictureEncoder, SentenceEncoder
from engine.runtime.ort import OrtRuntime
from export.bundle.manifest_entries import graph_spec, save_tokenizer
from export.tracing.assemble import export_graph
from export.tracing.scorer import scorer_graphs
from export.tracing.verify import verify_against_torch

_TOLERANCE = 1e-4
_WORDS = ["<pad>", "<eos>", "<unk>", "a", "white", "cat", "jumps", "the", "sea"]


@dataclass(frozen=True)
class Shape:
    """A configuration; drawn once, written down so that a failure can be read."""

    width: int
    layer_count: int
    head_count: int
    token_count: int
    image_px: int
    patch_px: int
    pad_side: str
    pad_id: int
    resample: int


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(24, 1, 3, 64, 48, 16, "left", 3, 2), marks=pytest.mark.walk),
        Shape(16, 2, 2, 20, 30, 10, "right", 0, 3),
    ],
    ids=str,
)
def test_embeddings_equal_the_library(shape: Shape, tmp_path: Path) -> None:
    torch.manual_seed(shape.width)
    sides = {
        "hidden_size": shape.width,
        "intermediate_size": 2 * shape.width,
        "num_hidden_layers": shape.layer_count,
        "num_attention_heads": shape.head_count,
    }
    text = {**sides, "vocab_size": len(_WORDS), "max_position_embeddings": shape.token_count}
    model = SiglipModel(
        SiglipConfig(
            text_config={**text, "projection_size": shape.width},
            vision_config={**sides, "image_size": shape.image_px, "patch_size": shape.patch_px},
        )
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    tokenizer = _tokenizer(shape)
    image_spec, text_spec = _export(model, tmp_path)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    spec = ScorerSpec(
        tokenizer=TokenizerSpec.from_dict(
            {
                "file": "tokenizer.json",
                "length": shape.token_count,
                "pad_id": shape.pad_id,
                "pad_side": shape.pad_side,
                "lower_case": True,
            }
        ),
        image_size_px=shape.image_px,
        resample=shape.resample,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        logit_scale_log=0.0,
        logit_bias=0.0,
        contrast_file="none.npy",
    )
    runtime = OrtRuntime(thread_count=1)
    sentences = ["A White CAT jumps", "the sea " * 50, "the", ""]
    texts = SentenceEncoder(tmp_path, spec, runtime.load(tmp_path, text_spec), runtime).embed(sentences)
    rng = np.random.default_rng(shape.width)
    pictures = [
        Pillow.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in ((90, 31), (12, 50), (48, 48))
    ]
    images = PictureEncoder(spec, runtime.load(tmp_path, image_spec), runtime).embed_all(pictures)
    expected = _library(model, tokenizer, shape, sentences, pictures)
    np.testing.assert_allclose([texts[sentence] for sentence in sentences], expected[0], atol=_TOLERANCE)
    np.testing.assert_allclose([image.whole for image in images], expected[1], atol=_TOLERANCE)
    assert images[0].patches.shape == ((shape.image_px // shape.patch_px) ** 2, shape.width)
    np.testing.assert_allclose([image.patches for image in images], expected[2], atol=_TOLERANCE)


def _export(model: SiglipModel, folder: Path) -> list[GraphSpec]:
    specs = []
    for stage, traced in zip(("scorer_image", "scorer_text"), scorer_graphs(model), strict=True):
        file = folder / f"{stage}.onnx"
        export_graph(traced, None, file)
        specs.append(graph_spec(stage, None, file, "fp32", verify_against_torch(file, traced)))  # type: ignore[arg-type]
    return specs


def _tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(_WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=_WORDS[shape.pad_id],
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side=shape.pad_side,
        model_max_length=shape.token_count,
    )


def _library(
    model: SiglipModel,
    tokenizer: PreTrainedTokenizerFast,
    shape: Shape,
    sentences: list[str],
    pictures: list[Pillow.Image],
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]:
    """Sentences, pictures and patches by transformers: a patch is what its head makes of that patch alone."""
    ids = tokenizer(
        [sentence.lower() for sentence in sentences],
        padding="max_length",
        max_length=shape.token_count,
        truncation=True,
        return_tensors="pt",
    )["input_ids"]
    side = {"height": shape.image_px, "width": shape.image_px}
    processor = SiglipImageProcessor(size=side, resample=shape.resample)
    pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        output = model(input_ids=ids, pixel_values=pixels)
        hidden = model.vision_model(pixel_values=pixels).last_hidden_state  # [B, patches, D]
        alone = model.vision_model.head(hidden.flatten(0, 1)[:, None]).unflatten(0, hidden.shape[:2])
    patches = torch.nn.functional.normalize(alone, dim=-1)
    return output.text_embeds.numpy(), output.image_embeds.numpy(), patches.numpy()
