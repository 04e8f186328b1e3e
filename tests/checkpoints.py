"""Random checkpoints in the official layout: Diffusers folders of both Wan2.2 families and a SigLIP scorer.

The weights are noise from a fixed seed, so clips are noise; file names, configurations and tokenizers are as in the
official checkpoints, but small. ``python -m tests.checkpoints FOLDER`` writes one to experiment with.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

_Module = TypeVar("_Module", bound=torch.nn.Module)

_SENTENCES = [
    "a white cat jumps to the left while the light fades",
    "the red car drives slowly down the road at dusk",
    "a dolphin leaps out of the sea and splashes back, waves follow",
    "the person turns the head, then smiles; the camera moves closer",
    "一只白色的猫向左跳,光线慢慢变暗",
    "红色的汽车在公路上缓缓行驶,天色渐暗",
    "海豚跃出海面,浪花四溅",
    "人物先转头,然后微笑,镜头推近",
]


@dataclass(frozen=True)
class TinyModel:
    """Shape of a random checkpoint. ``is_5b`` chooses the family; sizes are as in the official configurations."""

    is_5b: bool = False
    layer_count: int = 2
    head_count: int = 2
    head_size: int = 12
    ffn_size: int = 48
    text_size: int = 16
    vae_size: int = 4
    vae_block_count: int = 1
    step_count: int = 4
    shift: float = 5.0
    solver_order: int = 2
    boundary_ratio: float = 0.9
    seed: int = 0

    @property
    def size_multiple(self) -> int:
        """Widths and heights are multiples of this, in pixels."""
        return 32 if self.is_5b else 16


def write_checkpoint(folder: Path, model: TinyModel, *, scorer: bool = False) -> Path:
    """Writes the checkpoint, with ``scorer/`` inside it if ``scorer`` is True. Returns the folder."""
    torch.manual_seed(model.seed)
    tokenizer = _text_tokenizer()
    vae = _vae(model)
    pipeline = WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=_text_encoder(model, len(tokenizer)),
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=model.shift,
            solver_order=model.solver_order,
        ),
        transformer=_transformer(model, vae.config.z_dim),
        transformer_2=None if model.is_5b else _transformer(model, vae.config.z_dim),
        boundary_ratio=None if model.is_5b else model.boundary_ratio,
        expand_timesteps=model.is_5b,
    )
    pipeline.save_pretrained(folder)
    if scorer:
        _write_scorer(folder / "scorer")
    return folder


def _vae(model: TinyModel) -> AutoencoderKLWan:
    z_dim = 48 if model.is_5b else 16
    shape = (
        {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}
        if model.is_5b
        else {"scale_factor_spatial": 8}
    )
    return _shaken(
        AutoencoderKLWan(
            base_dim=model.vae_size,
            z_dim=z_dim,
            num_res_blocks=model.vae_block_count,
            latents_mean=torch.randn(z_dim).mul(0.1).tolist(),
            latents_std=torch.rand(z_dim).add(0.5).tolist(),
            **shape,
        )
    )


def _transformer(model: TinyModel, z_dim: int) -> WanTransformer3DModel:
    return _shaken(
        WanTransformer3DModel(
            num_attention_heads=model.head_count,
            attention_head_dim=model.head_size,
            in_channels=z_dim if model.is_5b else 2 * z_dim + 4,
            out_channels=z_dim,
            text_dim=model.text_size,
            freq_dim=32,
            ffn_dim=model.ffn_size,
            num_layers=model.layer_count,
        )
    )


def _text_encoder(model: TinyModel, vocabulary_size: int) -> UMT5EncoderModel:
    return _shaken(
        UMT5EncoderModel(
            UMT5Config(
                vocab_size=vocabulary_size,
                d_model=model.text_size,
                d_kv=8,
                d_ff=2 * model.text_size,
                num_layers=2,
                num_heads=2,
                dropout_rate=0.0,
            )
        )
    )


def _shaken(module: _Module) -> _Module:
    """Perturbs every weight, so that no norm weight is one and no bias is zero."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return module.eval()


def _text_tokenizer() -> T5TokenizerFast:
    return T5TokenizerFast(tokenizer_object=_unigram(lower_case=False), model_max_length=512, extra_ids=0)


def _unigram(*, lower_case: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    if lower_case:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=specials, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(_SENTENCES * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return tokenizer


def _write_scorer(folder: Path) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_unigram(lower_case=True),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="right",
        model_max_length=64,
    )
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = SiglipModel(
        SiglipConfig(
            text_config={**shape, "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 16},
            vision_config={**shape, "image_size": 32, "patch_size": 8},
        )
    )
    with torch.no_grad():
        model.logit_scale.fill_(2.3)
        model.logit_bias.fill_(-4.0)
    _shaken(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


if __name__ == "__main__":
    target = write_checkpoint(Path(sys.argv[1]), TinyModel(), scorer=True)
    sys.stdout.write(json.dumps({"checkpoint": str(target)}) + "\n")
