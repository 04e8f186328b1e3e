"""LoKr, LoHa, DoRA and three-factor convolutions: fused weights equal formulas written out in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from export.errors import ExportError
from tests.adapters import open_adapter, tiny_transformer

_LINEAR, _CONVOLUTION = "blocks.1.ffn.net.0.proj", "patch_embedding"  # [48, 24] and [24, 36, 1, 2, 2]
_Factors = dict[str, Tensor]


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape) + 31 * seed)).mul(0.3)


def _matrix(first: Tensor, second: Tensor) -> Tensor:
    """``first @ second`` by its definition, in float64."""
    return (first.double()[:, :, None] * second.double().flatten(1)[None]).sum(1)


def _kron(first: Tensor, second: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The Kronecker product by its definition: output o = o1·|o2| + o2, input i = i1·|i2| + i2."""
    result = torch.zeros(shape, dtype=torch.float64)
    outputs, inputs = len(second), second.shape[1]
    for o1, i1 in itertools.product(range(len(first)), range(first.shape[1])):
        part = first[o1, i1].double() * second.double()
        result[o1 * outputs : (o1 + 1) * outputs, i1 * inputs : (i1 + 1) * inputs] = part
    return result


def _tucker(core: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
    """Sum over both ranks; ``outputs`` [rank, o] and ``inputs`` [rank, i] select from ``core`` [rank, rank, …]."""
    result = torch.zeros(outputs.shape[1], inputs.shape[1], *core.shape[2:], dtype=torch.float64)
    for m, n in itertools.product(range(len(core)), range(core.shape[1])):
        spread = (outputs[m].double()[:, None] * inputs[n].double()[None]).reshape(*result.shape[:2], 1, 1, 1)
        result += spread * core[m, n].double()
    return result


def _lora() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lora_down.weight": _random(4, 24), "lora_up.weight": _random(48, 4)}
    return _LINEAR, factors, _matrix(factors["lora_up.weight"], factors["lora_down.weight"]), 4


def _locon() -> tuple[str, _Factors, Tensor, float]:
    factors = {
        "lora_down.weight": _random(4, 36, 1, 1, 1),
        "lora_mid.weight": _random(4, 4, 1, 2, 2),
        "lora_up.weight": _random(24, 4, 1, 1, 1),
    }
    up, down = factors["lora_up.weight"].flatten(1).T, factors["lora_down.weight"].flatten(1)
    return _CONVOLUTION, factors, _tucker(factors["lora_mid.weight"], up, down), 4


def _loha() -> tuple[str, _Factors, Tensor, float]:
    factors = {f"hada_w{n}_a": _random(48, 3, seed=n) for n in (1, 2)}
    factors |= {f"hada_w{n}_b": _random(3, 24, seed=n) for n in (1, 2)}
    first, second = (_matrix(factors[f"hada_w{n}_a"], factors[f"hada_w{n}_b"]) for n in (1, 2))
    return _LINEAR, factors, first * second, 3


def _loha_tucker() -> tuple[str, _Factors, Tensor, float]:
    factors = {f"hada_w{n}_a": _random(3, 24, seed=n) for n in (1, 2)}
    factors |= {f"hada_w{n}_b": _random(3, 36, seed=n) for n in (1, 2)}
    factors |= {f"hada_t{n}": _random(3, 3, 1, 2, 2, seed=n) for n in (1, 2)}
    first, second = (_tucker(factors[f"hada_t{n}"], factors[f"hada_w{n}_a"], factors[f"hada_w{n}_b"]) for n in (1, 2))
    return _CONVOLUTION, factors, first * second, 3


def _loha_convolution() -> tuple[str, _Factors, Tensor, float]:
    factors = {f"hada_w{n}_a": _random(24, 3, seed=n) for n in (1, 2)}
    factors |= {f"hada_w{n}_b": _random(3, 36 * 4, seed=n) for n in (1, 2)}
    first, second = (_matrix(factors[f"hada_w{n}_a"], factors[f"hada_w{n}_b"]) for n in (1, 2))
    return _CONVOLUTION, factors, (first * second).reshape(24, 36, 1, 2, 2), 3


def _lokr_whole() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lokr_w1": _random(4, 3), "lokr_w2": _random(12, 8)}
    return _LINEAR, factors, _kron(factors["lokr_w1"], factors["lokr_w2"], (48, 24)), float("inf")


def _lokr_second() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lokr_w1": _random(4, 3), "lokr_w2_a": _random(12, 2), "lokr_w2_b": _random(2, 8)}
    second = _matrix(factors["lokr_w2_a"], factors["lokr_w2_b"])
    return _LINEAR, factors, _kron(factors["lokr_w1"], second, (48, 24)), 2


def _lokr_first() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lokr_w1_a": _random(4, 2), "lokr_w1_b": _random(2, 3), "lokr_w2": _random(12, 8)}
    first = _matrix(factors["lokr_w1_a"], factors["lokr_w1_b"])
    return _LINEAR, factors, _kron(first, factors["lokr_w2"], (48, 24)), 2


def _lokr_both() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lokr_w1_a": _random(4, 2), "lokr_w1_b": _random(2, 3)}
    factors |= {"lokr_w2_a": _random(12, 2), "lokr_w2_b": _random(2, 8)}
    first = _matrix(factors["lokr_w1_a"], factors["lokr_w1_b"])
    return _LINEAR, factors, _kron(first, _matrix(factors["lokr_w2_a"], factors["lokr_w2_b"]), (48, 24)), 2


def _lokr_tucker() -> tuple[str, _Factors, Tensor, float]:
    factors = {"lokr_w1": _random(4, 6), "lokr_t2": _random(2, 2, 1, 2, 2)}
    factors |= {"lokr_w2_a": _random(2, 6), "lokr_w2_b": _random(2, 6, seed=1)}
    second = _tucker(factors["lokr_t2"], factors["lokr_w2_a"], factors["lokr_w2_b"])
    return _CONVOLUTION, factors, _kron(factors["lokr_w1"], second, (24, 36, 1, 2, 2)), 2


def _lokr_convolution() -> tuple[str, _Factors, Tensor, float]:
    """LyCORIS flattens the kernel of ``lokr_w2_b``."""
    factors = {"lokr_w1": _random(4, 6), "lokr_w2_a": _random(6, 2), "lokr_w2_b": _random(2, 6 * 4)}
    second = _matrix(factors["lokr_w2_a"], factors["lokr_w2_b"]).reshape(6, 6, 1, 2, 2)
    return _CONVOLUTION, factors, _kron(factors["lokr_w1"], second, (24, 36, 1, 2, 2)), 2


_PRODUCTS: Mapping[str, Callable[[], tuple[str, _Factors, Tensor, float]]] = {
    found.__name__.strip("_"): found
    for found in (
        _lora,
        _locon,
        _loha,
        _loha_tucker,
        _loha_convolution,
        _lokr_whole,
        _lokr_second,
        _lokr_first,
        _lokr_both,
        _lokr_tucker,
        _lokr_convolution,
    )
}


@pytest.mark.parametrize("strength", [1.0, 0.35, -2.0])
@pytest.mark.parametrize("alpha", [None, 1.5])
@pytest.mark.parametrize("kind", _PRODUCTS)
def test_a_product_is_added(
    transformer: WanTransformer3DModel, tmp_path: Path, kind: str, alpha: float | None, strength: float
) -> None:
    module, factors, product, rank = _PRODUCTS[kind]()
    tensors = {f"lycoris_{module.replace('.', '_')}.{name}": tensor for name, tensor in factors.items()}
    scale = 1.0
    if alpha is not None:
        tensors[f"lycoris_{module.replace('.', '_')}.alpha"] = torch.tensor(alpha)
        scale = alpha / rank if rank < float("inf") else 1.0
    weight = transformer.get_parameter(f"{module}.weight")
    adapter = open_adapter(transformer, tmp_path, tensors, strength=strength)
    fused = adapter.added_to(f"{module}.weight", weight)
    torch.testing.assert_close(fused.double(), weight.double() + strength * scale * product, rtol=0, atol=2e-6)
    assert float(product.abs().max()) > 1e-2


@pytest.mark.parametrize("alpha", [1e9, 1e10, 9999220736.0])
def test_alpha_of_a_lokr_of_two_whole_matrices_means_a_scale_of_one(
    transformer: WanTransformer3DModel, tmp_path: Path, alpha: float
) -> None:
    module, factors, product, _ = _lokr_whole()
    tensors = {f"diffusion_model.blocks.1.ffn.0.{name}": tensor for name, tensor in factors.items()}
    tensors["diffusion_model.blocks.1.ffn.0.alpha"] = torch.tensor(alpha).bfloat16()
    weight = transformer.get_parameter(f"{module}.weight")
    fused = open_adapter(transformer, tmp_path, tensors).added_to(f"{module}.weight", weight)
    torch.testing.assert_close(fused.double(), weight.double() + product, rtol=0, atol=2e-6)


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("axis", ["outputs", "outputs of PEFT", "inputs"])
@pytest.mark.parametrize("kind", ["lora", "locon", "loha", "lokr_second", "lokr_whole", "lokr_convolution"])
def test_dora_brings_the_sum_to_the_stored_lengths(
    transformer: WanTransformer3DModel, tmp_path: Path, kind: str, axis: str, strength: float
) -> None:
    module, factors, product, rank = _PRODUCTS[kind]()
    weight = transformer.get_parameter(f"{module}.weight").double()
    whole = weight + (1.0 if rank == float("inf") else 1.5 / rank) * product
    ones = [1] * (weight.dim() - 2)
    if axis == "inputs":
        lengths = torch.stack([whole[:, i].square().sum().sqrt() for i in range(whole.shape[1])])
        magnitude = lengths * torch.linspace(0.5, 2, len(lengths))
        stored, ending = magnitude.reshape(1, -1, *ones), "dora_scale"
        expected = whole * (magnitude / lengths).reshape(1, -1, *ones)
    else:
        lengths = torch.stack([row.square().sum().sqrt() for row in whole])
        magnitude = lengths * torch.linspace(0.5, 2, len(lengths))
        expected = whole * (magnitude / lengths).reshape(-1, 1, *ones)
        stored, ending = magnitude.reshape(-1, 1, *ones), "dora_scale"
        if axis == "outputs of PEFT":  # linears without further axes, convolutions behind one
            ending = "lora_magnitude_vector"
            stored = magnitude if weight.dim() == 2 else magnitude.reshape(1, -1, *ones)
    tensors = {f"transformer.{module}.{name}": tensor for name, tensor in factors.items()}
    tensors |= {f"transformer.{module}.alpha": torch.tensor(1.5), f"transformer.{module}.{ending}": stored.float()}
    adapter = open_adapter(transformer, tmp_path, tensors, strength=strength)
    fused = adapter.added_to(f"{module}.weight", weight.float())
    torch.testing.assert_close(fused.double(), weight + strength * (expected - weight), rtol=0, atol=3e-6)


def test_the_bias_of_an_up_half_is_scaled_and_a_difference_is_not(
    transformer: WanTransformer3DModel, tmp_path: Path
) -> None:
    module, factors, _, _ = _lora()
    bias = transformer.get_parameter(f"{module}.bias")
    for ending, scale in (("lora_B.bias", 3 / 4), ("lora_up.bias", 3 / 4), ("diff_b", 1.0)):
        tensors = {f"transformer.{module}.{name}": tensor for name, tensor in factors.items()}
        tensors |= {f"transformer.{module}.alpha": torch.tensor(3.0), f"transformer.{module}.{ending}": _random(48)}
        adapter = open_adapter(transformer, tmp_path, tensors, strength=0.5)
        expected = bias.double() + 0.5 * scale * _random(48).double()
        torch.testing.assert_close(adapter.added_to(f"{module}.bias", bias).double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("lora", "lora_up.weight"),
        ("locon", "lora_up.weight"),
        ("loha", "hada_w2_a"),
        ("loha_tucker", "hada_t1"),
        ("lokr_whole", "lokr_w2"),
        ("lokr_second", "lokr_w2_a"),
        ("lokr_both", "lokr_w1_b"),
        ("lokr_tucker", "lokr_w1"),
    ],
)
def test_a_missing_factor_is_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, kind: str, missing: str
) -> None:
    module, factors, _, _ = _PRODUCTS[kind]()
    tensors = {f"transformer.{module}.{name}": tensor for name, tensor in factors.items() if name != missing}
    with pytest.raises(ExportError, match=rf"{module}\.\w+.* lacks its down or up half; download the adapter again"):
        open_adapter(transformer, tmp_path, tensors)


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        ({"lokr_w1": (4, 4), "lokr_w2": (12, 8)}, "do not make a weight"),  # [48, 32]
        ({"lokr_w1": (3, 4), "lokr_w2": (8, 12)}, "do not make a weight"),  # [24, 48]
        ({"lokr_w1_a": (4, 1), "lokr_w1_b": (1, 3), "lokr_w2_a": (12, 2), "lokr_w2_b": (2, 8)}, "do not make a weight"),
        (
            {"hada_w1_a": (48, 2), "hada_w1_b": (2, 24), "hada_w2_a": (48, 2), "hada_w2_b": (3, 24)},
            "do not make a weight",
        ),
        ({"hada_w1_a": (1, 2), "hada_w1_b": (2, 1), "hada_w2_a": (1, 2), "hada_w2_b": (2, 1)}, "do not make a weight"),
        ({"lora_up.weight": (24, 4), "lora_down.weight": (4, 48)}, "do not make a weight"),
        ({"lora_up.weight": (), "lora_down.weight": ()}, "do not make a weight"),
        ({"lora_up.weight": (48, 4), "lora_down.weight": (4, 24), "dora_scale": (7,)}, "do not make a weight"),
        ({"lora_up.weight": (48, 4), "lora_down.weight": (4, 24), "alpha": (2,)}, "alpha is one number"),
        ({"diff": (24, 24)}, r"diff has shape \[24, 24\], the weight has \[48, 24\]"),
        ({"lora_B.bias": (48,)}, "lacks its down or up half"),
    ],
)
def test_factors_that_do_not_fit_are_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, tensors: Mapping[str, tuple[int, ...]], fault: str
) -> None:
    named = {f"transformer.{_LINEAR}.{name}": torch.ones(shape) for name, shape in tensors.items()}
    with pytest.raises(ExportError, match=rf"adapter\.safetensors: .*{fault}"):
        open_adapter(transformer, tmp_path, named)
