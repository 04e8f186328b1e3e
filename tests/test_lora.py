"""LoRA adapters fused into weights, against Diffusers and PEFT on the same files; and adapters that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from engine.generate.schedule import flow_schedule
from export.errors import ExportError
from export.options import parse_adapter_option
from export.weights.lora import Adapter, FusedWeights
from export.weights.lora.layouts import official_name
from export.weights.serving_defaults import LIGHTNING_4_STEPS
from tests.checkpoints import TinyModel, _transformer
from tests.quantising import Tensors

_RANK = 4
_LINEARS = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "ffn.net.0.proj", "ffn.net.2")


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    torch.manual_seed(0)
    return _transformer(TinyModel(), 16)


def _halves(transformer: WanTransformer3DModel) -> dict[str, tuple[Tensor, Tensor]]:
    """down [rank, inputs] and up [outputs, rank] by module."""
    generator = torch.Generator().manual_seed(7)
    modules = [f"blocks.{block}.{linear}" for block in range(2) for linear in _LINEARS]
    found = {}
    for module in [*modules, "condition_embedder.time_proj", "proj_out"]:
        output_count, input_count = transformer.get_submodule(module).weight.shape
        found[module] = (
            torch.randn(_RANK, input_count, generator=generator) * 0.1,
            torch.randn(output_count, _RANK, generator=generator) * 0.1,
        )
    return found


def _inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return {
        "hidden_states": torch.randn(1, 36, 2, 4, 4, generator=generator),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": torch.randn(1, 12, 16, generator=generator),
    }


def _run(transformer: WanTransformer3DModel) -> Tensor:
    with torch.no_grad():
        return transformer(**_inputs(), return_dict=False)[0]


def _fused(transformer: WanTransformer3DModel, *adapters: Adapter) -> WanTransformer3DModel:
    """A copy whose weights came through the fusing source."""
    source = FusedWeights(Tensors(transformer.state_dict()), adapters)
    copy = WanTransformer3DModel.from_config(transformer.config).eval()
    copy.load_state_dict({name: source.read(name) for name in source.names()})
    return copy


def _shapes(transformer: WanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in transformer.state_dict().items()}


def _open(transformer: WanTransformer3DModel, folder: Path, tensors: Mapping[str, Tensor], **options: Any) -> Adapter:
    file = folder / "adapter.safetensors"
    metadata = options.pop("metadata", None)
    save_file({key: item.clone() for key, item in tensors.items()}, file, metadata)
    return Adapter.open(file, _shapes(transformer), **options)


def _diffusers_layout(halves: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    named = {f"transformer.{module}.lora_A.weight": down for module, (down, _) in halves.items()}
    return named | {f"transformer.{module}.lora_B.weight": up for module, (_, up) in halves.items()}


def _official_layout(
    halves: Mapping[str, tuple[Tensor, Tensor]], down: str = "lora_down", up: str = "lora_up"
) -> dict[str, Tensor]:
    named = {}
    for module, (first, second) in halves.items():
        named[f"diffusion_model.{official_name(module)}.{down}.weight"] = first
        named[f"diffusion_model.{official_name(module)}.{up}.weight"] = second
    return named


def _kohya_layout(halves: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    named = {}
    for module, (first, second) in halves.items():
        name = f"lora_unet_{official_name(module).replace('.', '_')}"
        named[f"{name}.lora_down.weight"], named[f"{name}.lora_up.weight"] = first, second
        named[f"{name}.alpha"] = torch.tensor(float(_RANK))
    return named


@pytest.mark.parametrize("strength", [1.0, 0.6, -0.5])
@pytest.mark.parametrize(
    "layout",
    [
        _diffusers_layout,
        _official_layout,
        lambda halves: _official_layout(halves, "lora_A", "lora_B"),
        _kohya_layout,
    ],
    ids=["diffusers", "official down/up", "official A/B", "kohya"],
)
def test_fused_equals_the_model_with_the_adapter_beside_it(
    transformer: WanTransformer3DModel,
    tmp_path: Path,
    layout: Callable[[Mapping[str, tuple[Tensor, Tensor]]], dict[str, Tensor]],
    strength: float,
) -> None:
    halves = _halves(transformer)
    adapter = _open(transformer, tmp_path, layout(halves), strength=strength)
    handles = []
    for module, (down, up) in halves.items():

        def add(_: Any, inputs: tuple[Tensor], output: Tensor, down: Tensor = down, up: Tensor = up) -> Tensor:
            return output + strength * (inputs[0] @ down.T @ up.T)

        handles.append(transformer.get_submodule(module).register_forward_hook(add))
    beside = _run(transformer)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(_run(_fused(transformer, adapter)), beside, rtol=0, atol=1e-5)
    assert float((beside - _run(transformer)).abs().max()) > 1e-2  # the adapter does something


def _by_diffusers(tensors: Mapping[str, Tensor], transformer: WanTransformer3DModel, strength: float) -> Tensor:
    """What the library makes of a state dict, converted and loaded through PEFT."""
    from diffusers.loaders import WanLoraLoaderMixin

    copy = WanTransformer3DModel.from_config(transformer.config).eval()
    copy.load_state_dict(transformer.state_dict())
    converted = WanLoraLoaderMixin.lora_state_dict({key: item.clone() for key, item in tensors.items()})
    copy.load_lora_adapter(converted, adapter_name="one", prefix="transformer")
    copy.set_adapters("one", strength)
    return _run(copy)


class TestAgainstDiffusers:
    @pytest.fixture(autouse=True)
    def _needs_peft(self) -> None:
        pytest.importorskip("peft")

    @pytest.mark.parametrize("layout", [_diffusers_layout, _official_layout], ids=["diffusers", "official"])
    def test_both_layouts(
        self,
        transformer: WanTransformer3DModel,
        tmp_path: Path,
        layout: Callable[[Mapping[str, tuple[Tensor, Tensor]]], dict[str, Tensor]],
    ) -> None:
        tensors = layout(_halves(transformer))
        ours = _run(_fused(transformer, _open(transformer, tmp_path, tensors, strength=0.8)))
        torch.testing.assert_close(ours, _by_diffusers(tensors, transformer, 0.8), rtol=0, atol=1e-5)

    def test_alpha_and_added_biases_of_the_few_step_files(
        self, transformer: WanTransformer3DModel, tmp_path: Path
    ) -> None:
        tensors = _official_layout({name: item for name, item in _halves(transformer).items() if "blocks" in name})
        for key in [key for key in tensors if key.endswith("lora_down.weight")]:
            tensors[key.replace("lora_down.weight", "alpha")] = torch.tensor(8.0)
            width = tensors[key.replace("lora_down", "lora_up")].shape[0]
            tensors[key.replace("lora_down.weight", "diff_b")] = torch.linspace(-0.2, 0.2, width)
        ours = _run(_fused(transformer, _open(transformer, tmp_path, tensors)))
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
        expected = _run(copy)
        settings = {"r": config.r, "lora_alpha": config.lora_alpha, "rank_pattern": config.rank_pattern}
        WanPipeline.save_lora_weights(
            tmp_path,
            transformer_lora_layers=get_peft_model_state_dict(copy),
            transformer_lora_adapter_metadata=settings,
        )
        adapter = Adapter.open(tmp_path / "pytorch_lora_weights.safetensors", _shapes(transformer))
        torch.testing.assert_close(_run(_fused(transformer, adapter)), expected, rtol=0, atol=1e-5)


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
    fused = FusedWeights(Tensors(weights), [_open(transformer, tmp_path, tensors, strength=0.5)])
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
    down, up = _halves(transformer)["proj_out"]
    tensors = {
        "transformer.proj_out.lora_A.weight": down,
        "transformer.proj_out.lora_B.weight": up,
        "transformer_2.proj_out.lora_A.weight": down,
        "transformer_2.proj_out.lora_B.weight": 3 * up,
    }
    zeros = torch.zeros_like(transformer.proj_out.weight)
    for component, factor in (("transformer", 1.0), ("transformer_2", 3.0)):
        adapter = _open(transformer, tmp_path, tensors, component=component)
        torch.testing.assert_close(adapter.added_to("proj_out.weight", zeros), factor * up @ down)


def test_a_fused_weight_is_not_rounded_before_it_is_encoded(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    adapter = _open(transformer, tmp_path, _diffusers_layout(_halves(transformer)))
    source = Tensors({name: item.bfloat16() for name, item in transformer.state_dict().items()})
    fused = FusedWeights(source, [adapter])
    assert fused.dtype("proj_out.weight") is torch.float32
    assert fused.dtype("proj_out.bias") is torch.bfloat16
    for name in fused.names():
        assert fused.read(name).dtype is fused.dtype(name)
        assert tuple(fused.read(name).shape) == fused.shape(name)


def _without(tensors: dict[str, Tensor], ending: str) -> dict[str, Tensor]:
    return {key: item for key, item in tensors.items() if not key.endswith(ending)}


_DOWN, _UP = torch.zeros(_RANK, 24), torch.zeros(24, _RANK)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight": _DOWN}, r"no such weight; .* k_img and v_img"),
        ({f"transformer.blocks.{n}.attn1.to_q.lora_A.weight": _DOWN for n in range(7, 12)}, r"and 2 more: this trans"),
        ({"transformer.blocks.0.attn1.to_q.lora_C.weight": _DOWN}, r"to_q\.lora_C\.weight: this transformer has no"),
        ({"transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN}, r"to_q\.lora_A\.weight lacks its down or up half"),
        ({"transformer.blocks.0.attn1.to_q.alpha": torch.tensor(1.0)}, r"to_q\.alpha lacks its down or up half"),
        (
            {
                "transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN,
                "transformer.blocks.0.attn1.to_q.lora_B.weight": torch.zeros(24, 8),
            },
            r"\[4, 24\] and .*\[24, 8\] do not make a weight \[24, 24\]; give an adapter",
        ),
        (
            {
                "transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN,
                "transformer.blocks.0.attn1.to_q.lora_B.weight": _UP,
                "diffusion_model.blocks.0.self_attn.q.lora_down.weight": _DOWN,
            },
            r"change the same weight; remove one",
        ),
        ({"diffusion_model.head.head.diff_b": torch.zeros(3)}, r"diff_b has shape \[3\], the weight has \[64\]"),
        ({"transformer.blocks.0.attn1.to_q.dora_scale": torch.zeros(24)}, r"is a DoRA, .* give a plain LoRA"),
        ({}, r"holds no tensor for this transformer"),
    ],
)
def test_what_cannot_be_fused_whole_is_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, tensors: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ExportError, match=r"adapter\.safetensors: .*" + message):
        _open(transformer, tmp_path, tensors)


def test_a_file_that_is_none_is_refused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    file = tmp_path / "adapter.safetensors"
    for prepare in (lambda: None, lambda: file.write_bytes(b"<html>not found</html>")):
        prepare()
        with pytest.raises(ExportError, match=r"cannot read adapter .*adapter\.safetensors: .* downloaded whole"):
            Adapter.open(file, _shapes(transformer))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("high.safetensors", (Path("high.safetensors"), 1.0)),
        ("high.safetensors:0.8", (Path("high.safetensors"), 0.8)),
        ("C:/loras/high.safetensors", (Path("C:/loras/high.safetensors"), 1.0)),
        ("a:b.safetensors:-1", (Path("a:b.safetensors"), -1.0)),
    ],
)
def test_the_option_names_a_file_and_may_name_a_strength(text: str, expected: tuple[Path, float]) -> None:
    assert parse_adapter_option(text) == expected


def test_a_strength_that_is_no_number_is_refused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"'strong' is not a number; write FILE or FILE:0\.8"):
        parse_adapter_option("high.safetensors:strong")
    with pytest.raises(ExportError, match=r"strength nan is not a finite number"):
        _open(transformer, tmp_path, _diffusers_layout(_halves(transformer)), strength=float("nan"))


def test_the_few_step_profile_is_split_between_the_experts() -> None:
    """Two steps for each expert at a boundary of 900."""
    schedule = flow_schedule(LIGHTNING_4_STEPS.step_count, LIGHTNING_4_STEPS.shift, 2)
    assert [round(float(t), -1) for t in schedule.timesteps] == [1000, 940, 830, 620]
    assert sum(t >= 900 for t in schedule.timesteps) == 2
    assert json.loads(LIGHTNING_4_STEPS.model_dump_json()) == {"step_count": 4, "shift": 5.0, "guidance_scale": 1}
