"""Fused LoRA adapters against Diffusers and PEFT on the same files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from export.weights.lora import Adapter
from tests.adapters import (
    diffusers_layout,
    fuse,
    official_layout,
    open_adapter,
    random_halves,
    run,
    shapes_of,
    tiny_transformer,
)


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


def _by_diffusers(tensors: Mapping[str, Tensor], transformer: WanTransformer3DModel, strength: float) -> Tensor:
    """What the library makes of a state dict, converted and loaded through PEFT."""
    from diffusers.loaders import WanLoraLoaderMixin

    copy = WanTransformer3DModel.from_config(transformer.config).eval()
    copy.load_state_dict(transformer.state_dict())
    converted = WanLoraLoaderMixin.lora_state_dict({key: item.clone() for key, item in tensors.items()})
    copy.load_lora_adapter(converted, adapter_name="one", prefix="transformer")
    copy.set_adapters("one", strength)
    return run(copy)


class TestAgainstDiffusers:
    @pytest.fixture(autouse=True)
    def _needs_peft(self) -> None:
        pytest.importorskip("peft")

    @pytest.mark.parametrize("layout", [diffusers_layout, official_layout], ids=["diffusers", "official"])
    def test_both_layouts(
        self,
        transformer: WanTransformer3DModel,
        tmp_path: Path,
        layout: Callable[[Mapping[str, tuple[Tensor, Tensor]]], dict[str, Tensor]],
    ) -> None:
        tensors = layout(random_halves(transformer))
        ours = run(fuse(transformer, open_adapter(transformer, tmp_path, tensors, strength=0.8)))
        torch.testing.assert_close(ours, _by_diffusers(tensors, transformer, 0.8), rtol=0, atol=1e-5)

    def test_alpha_and_added_biases_of_the_few_step_files(
        self, transformer: WanTransformer3DModel, tmp_path: Path
    ) -> None:
        tensors = official_layout({name: item for name, item in random_halves(transformer).items() if "blocks" in name})
        for key in [key for key in tensors if key.endswith("lora_down.weight")]:
            tensors[key.replace("lora_down.weight", "alpha")] = torch.tensor(8.0)
            width = tensors[key.replace("lora_down", "lora_up")].shape[0]
            tensors[key.replace("lora_down.weight", "diff_b")] = torch.linspace(-0.2, 0.2, width)
        ours = run(fuse(transformer, open_adapter(transformer, tmp_path, tensors)))
        torch.testing.assert_close(ours, _by_diffusers(tensors, transformer, 1.0), rtol=0, atol=1e-5)

    def test_a_file_that_the_library_wrote_with_its_settings(
        self, transformer: WanTransformer3DModel, tmp_path: Path
    ) -> None:
        from diffusers import WanPipeline
        from peft import LoraConfig, get_peft_model_state_dict

        copy = WanTransformer3DModel.from_config(transformer.config).eval()
        copy.load_state_dict(transformer.state_dict())
        torch.manual_seed(3)
        config = LoraConfig(
            r=4, lora_alpha=6, target_modules=["to_q", "to_v"], init_lora_weights=False, rank_pattern={"attn2.to_q": 2}
        )
        copy.add_adapter(config)
        expected = run(copy)
        settings = {"r": config.r, "lora_alpha": config.lora_alpha, "rank_pattern": config.rank_pattern}
        WanPipeline.save_lora_weights(
            tmp_path,
            transformer_lora_layers=get_peft_model_state_dict(copy),
            transformer_lora_adapter_metadata=settings,
        )
        adapter = Adapter.open(tmp_path / "pytorch_lora_weights.safetensors", shapes_of(transformer))
        torch.testing.assert_close(run(fuse(transformer, adapter)), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "loha", "lokr", "lokr of whole matrices"])
    def test_a_folder_that_peft_wrote(self, transformer: WanTransformer3DModel, tmp_path: Path, kind: str) -> None:
        from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model

        targets = ["to_q", "to_out.0", "ffn.net.2"]
        config: Any
        if kind.startswith("lokr"):
            rank = 64 if "whole" in kind else 2
            config = LoKrConfig(r=rank, alpha=6, target_modules=targets, decompose_both=kind == "lokr")
        elif kind == "loha":
            config = LoHaConfig(r=4, alpha=6, target_modules=targets)
        else:
            config = LoraConfig(
                r=4, lora_alpha=6, target_modules=targets, use_dora=kind == "dora", use_rslora=kind == "rslora"
            )
        copy = WanTransformer3DModel.from_config(transformer.config).eval()
        copy.load_state_dict(transformer.state_dict())
        adapted = get_peft_model(copy, config)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(parameter * (1 + 0.2 * noise) if "magnitude" in name else 0.2 * noise)
        adapted.save_pretrained(tmp_path)
        merged = adapted.eval().merge_and_unload()
        adapter = Adapter.open(tmp_path / "adapter_model.safetensors", shapes_of(transformer))
        ours, theirs = fuse(transformer, adapter).state_dict(), merged.state_dict()
        assert len(adapter.parameters) == 10
        for name in adapter.parameters:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-5)
            assert float((ours[name] - transformer.state_dict()[name]).abs().max()) > 1e-2
