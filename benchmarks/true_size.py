"""Checkpoints of true size without a download: official configurations, and random weights generated when read.

Only configurations are written to disk. A tensor exists only while its caller holds it, so the 57 GB of an expert in
float32 never exist at once.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.full_size import A14B_EXPERT, TI2V_5B, UMT5_XXL, VAE_16_CHANNELS, VAE_48_CHANNELS

_TRANSFORMERS: Mapping[str, Mapping[str, Any]] = {"a14b": A14B_EXPERT, "5b": TI2V_5B}
_VAES: Mapping[str, Mapping[str, Any]] = {"a14b": VAE_16_CHANNELS, "5b": VAE_48_CHANNELS}
_SCHEDULER: Mapping[str, Any] = {
    "_class_name": "UniPCMultistepScheduler",
    "flow_shift": 5.0,
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "solver_order": 2,
    "use_flow_sigmas": True,
}
_LARGEST_WEIGHT = 0.05


def layer_count(model: str) -> int:
    """Returns the number of blocks of the official transformer ``a14b`` or ``5b``."""
    return int(_TRANSFORMERS[model]["num_layers"])


def write_configurations(folder: Path, model: str, transformer_layer_count: int) -> Path:
    """Writes and returns a Diffusers folder of configurations only, with ``transformer_layer_count`` blocks."""
    is_5b = model == "5b"
    transformer = {
        "_class_name": "WanTransformer3DModel",
        **_TRANSFORMERS[model],
        "num_layers": transformer_layer_count,
    }
    index: dict[str, Any] = {"_class_name": "WanImageToVideoPipeline", "expand_timesteps": is_5b}
    if not is_5b:
        index |= {"transformer_2": ["diffusers", "WanTransformer3DModel"], "boundary_ratio": 0.9}
    contents: dict[str, Mapping[str, Any]] = {
        "model_index.json": index,
        "scheduler/scheduler_config.json": _SCHEDULER,
        "transformer/config.json": transformer,
        "transformer_2/config.json": transformer,
        "vae/config.json": {"_class_name": "AutoencoderKLWan", **_VAES[model]},
        "text_encoder/config.json": {"model_type": "umt5", **UMT5_XXL},
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return folder


class DrawnWeights:
    """A ``WeightSource`` with the names and shapes of a module's parameters; each is uniform noise with its own seed.

    Not zeros, because the compiler merges equal constants and the plan would be too small.
    """

    def __init__(self, module: nn.Module) -> None:
        self._shapes = {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}

    def names(self) -> Sequence[str]:
        """All parameter names, in the module's order."""
        return tuple(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a parameter."""
        return self._shapes[name]

    def dtype(self, name: str) -> torch.dtype:  # noqa: ARG002
        """The dtype in which the official 5B checkpoint stores all parameters."""
        return torch.float32

    def read(self, name: str) -> Tensor:
        """Generates the tensor; each read gives the same values."""
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        return torch.empty(self._shapes[name]).uniform_(-_LARGEST_WEIGHT, _LARGEST_WEIGHT, generator=generator)
