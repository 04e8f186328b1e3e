"""LoRA adapters of random halves for a tiny transformer, in the layouts of the files that people share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from export.weights.lora import Adapter, FusedWeights
from tests.checkpoint_layouts import official_name
from tests.checkpoints import TinyModel, _transformer
from tests.quantising import Tensors

RANK = 4
_LINEARS = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "ffn.net.0.proj", "ffn.net.2")


def tiny_transformer() -> WanTransformer3DModel:
    torch.manual_seed(0)
    return _transformer(TinyModel(), 16)


def random_halves(transformer: WanTransformer3DModel) -> dict[str, tuple[Tensor, Tensor]]:
    """Returns down [rank, inputs] and up [outputs, rank] by module."""
    generator = torch.Generator().manual_seed(7)
    modules = [f"blocks.{block}.{linear}" for block in range(2) for linear in _LINEARS]
    found = {}
    for module in [*modules, "condition_embedder.time_proj", "proj_out"]:
        output_count, input_count = transformer.get_submodule(module).weight.shape
        found[module] = (
            torch.randn(RANK, input_count, generator=generator) * 0.1,
            torch.randn(output_count, RANK, generator=generator) * 0.1,
        )
    return found


def _inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return {
        "hidden_states": torch.randn(1, 36, 2, 4, 4, generator=generator),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": torch.randn(1, 12, 16, generator=generator),
    }


def run(transformer: WanTransformer3DModel) -> Tensor:
    with torch.no_grad():
        return transformer(**_inputs(), return_dict=False)[0]


def fuse(transformer: WanTransformer3DModel, *adapters: Adapter) -> WanTransformer3DModel:
    """Returns a copy whose weights came through the fusing source."""
    source = FusedWeights(Tensors(transformer.state_dict()), adapters)
    copy = WanTransformer3DModel.from_config(transformer.config).eval()
    copy.load_state_dict({name: source.read(name) for name in source.names()})
    return copy


def shapes_of(transformer: WanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in transformer.state_dict().items()}


def open_adapter(
    transformer: WanTransformer3DModel, folder: Path, tensors: Mapping[str, Tensor], **options: Any
) -> Adapter:
    file = folder / "adapter.safetensors"
    metadata = options.pop("metadata", None)
    save_file({key: item.clone() for key, item in tensors.items()}, file, metadata)
    return Adapter.open(file, shapes_of(transformer), **options)


def diffusers_layout(halves: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    named = {f"transformer.{module}.lora_A.weight": down for module, (down, _) in halves.items()}
    return named | {f"transformer.{module}.lora_B.weight": up for module, (_, up) in halves.items()}


def official_layout(
    halves: Mapping[str, tuple[Tensor, Tensor]], down: str = "lora_down", up: str = "lora_up"
) -> dict[str, Tensor]:
    named = {}
    for module, (first, second) in halves.items():
        named[f"diffusion_model.{official_name(module)}.{down}.weight"] = first
        named[f"diffusion_model.{official_name(module)}.{up}.weight"] = second
    return named


def kohya_layout(halves: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    named = {}
    for module, (first, second) in halves.items():
        name = f"lora_unet_{official_name(module).replace('.', '_')}"
        named[f"{name}.lora_down.weight"], named[f"{name}.lora_up.weight"] = first, second
        named[f"{name}.alpha"] = torch.tensor(float(RANK))
    return named
