"""Writes a tiny checkpoint of Diffusers' layout again in the other layouts that people have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from export.weights.names.layout import ComponentKind, Layout, name_table

KINDS: Mapping[str, ComponentKind] = {
    "transformer": "transformer",
    "transformer_2": "transformer",
    "vae": "vae",
    "text_encoder": "text_encoder",
}
State = dict[str, Tensor]


def component_state(checkpoint: Path, component: str) -> State:
    """The tensors of a component by the names of Diffusers and transformers."""
    (file,) = (checkpoint / component).glob("*.safetensors")
    return dict(load_file(file))


def renamed(state: State, kind: ComponentKind, layout: Layout = "official", prefix: str = "") -> State:
    """The same tensors by the names of another layout."""
    table = name_table(kind, layout, tuple(state))
    names = {name: table.from_diffusers(name) for name in state}
    assert None not in names.values(), names
    return {f"{prefix}{names[name]}": tensor.clone() for name, tensor in state.items()}


def official_name(module: str) -> str:
    """The official repository's name of a module of the transformer; modules of other names keep theirs."""
    return name_table("transformer", "official").module_from_diffusers(module) or module


def fp8_scaled(
    state: State, *, scale_name: str = "scale_weight", by_output: bool = False, dtype: torch.dtype = torch.float8_e4m3fn
) -> tuple[State, State]:
    """A state with the linears of blocks in 8-bit floats with scales, and the state in float32 that this stands for."""
    stored: State = {}
    exact: State = {}
    for name, tensor in state.items():
        if "blocks." in name and name.endswith(".weight") and tensor.dim() == 2:
            largest = tensor.abs().amax(1, keepdim=True) if by_output else tensor.abs().max()
            scale = largest / torch.finfo(dtype).max
            values = (tensor / scale).to(dtype)
            stored[name] = values
            stored[name.removesuffix("weight") + scale_name] = scale.reshape(-1) if by_output else scale.reshape(())
            exact[name] = values.to(torch.float32) * scale
        else:
            stored[name] = tensor.clone()
            exact[name] = tensor.clone()
    return stored, exact


def write_official(checkpoint: Path, folder: Path, *, is_5b: bool = False, index: bool = False) -> Path:
    """Writes the layout of the official repository's checkpoints."""
    places = {"transformer": "."} if is_5b else {"transformer": "high_noise_model", "transformer_2": "low_noise_model"}
    for component, place in places.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        state = renamed(component_state(checkpoint, component), "transformer")
        file = folder / place / "diffusion_pytorch_model-00001-of-00001.safetensors"
        save_file(state, file)
        if index:
            content = {"metadata": {}, "weight_map": dict.fromkeys(state, file.name)}
            (folder / place / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(content))
        configuration = json.loads((checkpoint / component / "config.json").read_text())
        official = official_configuration(configuration, "ti2v" if is_5b else "i2v")
        (folder / place / "config.json").write_text(json.dumps(official))
    text_encoder = renamed(component_state(checkpoint, "text_encoder"), "text_encoder")
    torch.save(text_encoder, folder / "models_t5_umt5-xxl-enc-bf16.pth")
    vae = renamed(component_state(checkpoint, "vae"), "vae")
    torch.save(vae, folder / ("Wan2.2_VAE.pth" if is_5b else "Wan2.1_VAE.pth"))
    shutil.copytree(checkpoint / "tokenizer", folder / "google" / "umt5-xxl")
    return folder


def official_configuration(configuration: Mapping[str, int], model_type: str) -> dict[str, object]:
    """The official ``config.json`` of a transformer with Diffusers' configuration."""
    return {
        "_class_name": "WanModel",
        "_diffusers_version": "0.33.0",
        "dim": configuration["num_attention_heads"] * configuration["attention_head_dim"],
        "eps": configuration["eps"],
        "ffn_dim": configuration["ffn_dim"],
        "freq_dim": configuration["freq_dim"],
        "in_dim": configuration["in_channels"],
        "model_type": model_type,
        "num_heads": configuration["num_attention_heads"],
        "num_layers": configuration["num_layers"],
        "out_dim": configuration["out_channels"],
        "text_dim": configuration["text_dim"],
        "text_len": 512,
    }


def write_comfyui(
    checkpoint: Path,
    folder: Path,
    *,
    prefix: str = "",
    transform: Callable[[State], State] = lambda state: state,
    is_5b: bool = False,
) -> Path:
    """Writes single files as in ComfyUI's ``models`` folder; ``transform`` changes the transformers' tensors."""
    names = {"transformer": "wan2.2_ti2v_5B_fp16.safetensors"} if is_5b else _COMFYUI_EXPERTS
    for place in ("diffusion_models", "vae", "text_encoders"):
        (folder / place).mkdir(parents=True)
    for component, name in names.items():
        state = renamed(transform(component_state(checkpoint, component)), "transformer", prefix=prefix)
        save_file(state, folder / "diffusion_models" / name)
    vae = "wan2.2_vae.safetensors" if is_5b else "wan_2.1_vae.safetensors"
    save_file(renamed(component_state(checkpoint, "vae"), "vae"), folder / "vae" / vae)
    text_encoder = component_state(checkpoint, "text_encoder")
    save_file(text_encoder, folder / "text_encoders" / "umt5_xxl_fp16.safetensors")
    return folder


_COMFYUI_EXPERTS = {
    "transformer": "wan2.2_i2v_high_noise_14B_fp16.safetensors",
    "transformer_2": "wan2.2_i2v_low_noise_14B_fp16.safetensors",
}
