"""LoRA adapters fused into weights equal the model with the adapter beside it; the profile for few-step adapters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from engine.generate.schedule import flow_schedule
from export.weights.lora import FusedWeights
from export.weights.serving_defaults import LIGHTNING_4_STEPS
from tests.adapters import (
    diffusers_layout,
    fuse,
    kohya_layout,
    official_layout,
    open_adapter,
    random_halves,
    run,
    tiny_transformer,
)
from tests.quantising import Tensors


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


@pytest.mark.parametrize("strength", [1.0, 0.6, -0.5])
@pytest.mark.parametrize(
    "layout",
    [
        diffusers_layout,
        official_layout,
        lambda halves: official_layout(halves, "lora_A", "lora_B"),
        kohya_layout,
    ],
    ids=["diffusers", "official down/up", "official A/B", "kohya"],
)
def test_fused_equals_the_model_with_the_adapter_beside_it(
    transformer: WanTransformer3DModel,
    tmp_path: Path,
    layout: Callable[[Mapping[str, tuple[Tensor, Tensor]]], dict[str, Tensor]],
    strength: float,
) -> None:
    halves = random_halves(transformer)
    adapter = open_adapter(transformer, tmp_path, layout(halves), strength=strength)
    handles = []
    for module, (down, up) in halves.items():

        def add(_: Any, inputs: tuple[Tensor], output: Tensor, down: Tensor = down, up: Tensor = up) -> Tensor:
            return output + strength * (inputs[0] @ down.T @ up.T)

        handles.append(transformer.get_submodule(module).register_forward_hook(add))
    beside = run(transformer)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(run(fuse(transformer, adapter)), beside, rtol=0, atol=1e-5)
    assert float((beside - run(transformer)).abs().max()) > 1e-2  # the adapter does something


def test_differences_are_added_to_weights_biases_and_modulation(
    transformer: WanTransformer3DModel, tmp_path: Path
) -> None:
    weights = transformer.state_dict()
    tensors = {
        "diffusion_model.head.head.diff": torch.full_like(weights["proj_out.weight"], 0.5),
        "diffusion_model.patch_embedding.diff": torch.full_like(weights["patch_embedding.weight"], 0.25),
        "diffusion_model.blocks.0.norm3.diff": torch.full_like(weights["blocks.0.norm2.weight"], 2.0),
        "diffusion_model.blocks.0.norm3.diff_b": torch.full_like(weights["blocks.0.norm2.bias"], 3.0),
        "diffusion_model.blocks.1.diff_m": torch.full_like(weights["blocks.1.scale_shift_table"], 4.0),
        "diffusion_model.head.diff_m": torch.full_like(weights["scale_shift_table"], 5.0),
        "diffusion_model.blocks.1.self_attn.norm_q.diff": torch.full_like(weights["blocks.1.attn1.norm_q.weight"], 6.0),
    }
    fused = FusedWeights(Tensors(weights), [open_adapter(transformer, tmp_path, tensors, strength=0.5)])
    added = {name: float((fused.read(name) - weights[name]).mean()) for name in fused.names()}
    changed = {name: round(value, 5) for name, value in added.items() if value}
    assert changed == {
        "proj_out.weight": 0.25,
        "patch_embedding.weight": 0.125,
        "blocks.0.norm2.weight": 1.0,
        "blocks.0.norm2.bias": 1.5,
        "blocks.1.scale_shift_table": 2.0,
        "scale_shift_table": 2.5,
        "blocks.1.attn1.norm_q.weight": 3.0,
    }


def test_a_file_of_both_experts_gives_each_its_own(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    down, up = random_halves(transformer)["proj_out"]
    tensors = {
        "transformer.proj_out.lora_A.weight": down,
        "transformer.proj_out.lora_B.weight": up,
        "transformer_2.proj_out.lora_A.weight": down,
        "transformer_2.proj_out.lora_B.weight": 3 * up,
    }
    zeros = torch.zeros_like(transformer.proj_out.weight)
    for component, factor in (("transformer", 1.0), ("transformer_2", 3.0)):
        adapter = open_adapter(transformer, tmp_path, tensors, component=component)
        torch.testing.assert_close(adapter.added_to("proj_out.weight", zeros), factor * up @ down)


def test_a_fused_weight_is_not_rounded_before_it_is_encoded(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    adapter = open_adapter(transformer, tmp_path, diffusers_layout(random_halves(transformer)))
    source = Tensors({name: item.bfloat16() for name, item in transformer.state_dict().items()})
    fused = FusedWeights(source, [adapter])
    assert fused.dtype("proj_out.weight") is torch.float32
    assert fused.dtype("proj_out.bias") is torch.bfloat16
    for name in fused.names():
        assert fused.read(name).dtype is fused.dtype(name)
        assert tuple(fused.read(name).shape) == fused.shape(name)


def test_the_few_step_profile_is_split_between_the_experts() -> None:
    """Two steps for each expert at a boundary of 900."""
    schedule = flow_schedule(LIGHTNING_4_STEPS.step_count, LIGHTNING_4_STEPS.shift, 2)
    assert [round(float(t), -1) for t in schedule.timesteps] == [1000, 940, 830, 620]
    assert sum(t >= 900 for t in schedule.timesteps) == 2
    assert json.loads(LIGHTNING_4_STEPS.to_json()) == {"step_count": 4, "shift": 5.0, "guidance_scale": 1}
