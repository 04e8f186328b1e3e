"""The change that the tensors of an adapter make of a weight: LoRA, LoHa, LoKr, and DoRA on top of each.

Formulas: LoRA, Hu et al. 2021 (arXiv:2106.09685); LoHa, Hyeon-Woo et al. 2021 (arXiv:2108.06098); LoKr, Yeh et al.
2023 (arXiv:2309.14859); DoRA, Liu et al. 2024 (arXiv:2402.09353). Names and shapes of tensors are those that LyCORIS
and PEFT write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from export.weights.lora.forms import Role

_Tensors = Mapping[Role, Tensor]

# Roles of each product: what it must have, and what it may have.
_LORA: frozenset[Role] = frozenset({"down", "up", "mid"})
_LOHA: frozenset[Role] = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"})
_LOKR: frozenset[Role] = frozenset(
    {"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"}
)
FACTORS = _LORA | _LOHA | _LOKR


class IncompleteProduct(Exception):
    """A factor of a product is missing, or factors of two products are mixed."""


def product(tensors: _Tensors, shape: tuple[int, ...]) -> Tensor:
    """The product of the factors, in the shape of the weight, without any scale.

    ``tensors`` may lie on the meta device. Raises ``IncompleteProduct`` for missing factors, ``ValueError`` for a
    product of another shape, and ``RuntimeError`` where factors do not fit each other.
    """
    result = _product_of(tensors)(tensors)
    if rank_of({role: tuple(tensor.shape) for role, tensor in tensors.items()}) == 0:
        raise ValueError("the rank is 0")
    if not shape or result.shape[0] != shape[0] or result.numel() != math.prod(shape):
        raise ValueError(f"the product has shape {list(result.shape)}")
    return result.reshape(shape)


def rank_of(shapes: Mapping[Role, tuple[int, ...]]) -> int | None:
    """The rank that alpha is divided by; None for a LoKr of two whole matrices, whose scale is 1 whatever alpha."""
    if "down" in shapes:
        return shapes["down"][0]
    if "hada_w1_b" in shapes:
        return shapes["hada_w1_b"][0]
    factors: tuple[Role, ...] = ("lokr_w2_b", "lokr_w1_b")
    for factor in factors:
        if factor in shapes:
            return shapes[factor][0]
    return None


def decomposed(weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: ``weight``, the sum of base weight and change, with each row or column brought to its stored length.

    ``magnitude`` has one length for each output [outputs], [outputs, 1, …] or, as PEFT stores convolutions,
    [1, outputs, 1, …]; or one for each input [1, inputs, 1, …]. Raises ``ValueError`` for another shape.
    """
    is_of_inputs = magnitude.dim() > 1 and magnitude.shape[0] == 1 and magnitude.numel() == weight.shape[1]
    axis = 1 if is_of_inputs else 0
    if weight.dim() < 2 or magnitude.numel() != weight.shape[axis] or max(magnitude.shape) != magnitude.numel():
        raise ValueError(f"the lengths have shape {list(magnitude.shape)}")
    others = tuple(other for other in range(weight.dim()) if other != axis)
    lengths = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
    return weight * (magnitude.reshape(lengths.shape) / lengths.clamp_min(torch.finfo(weight.dtype).eps))


def _product_of(tensors: _Tensors) -> Callable[[_Tensors], Tensor]:
    given = FACTORS & tensors.keys()
    if given in ({"down", "up"}, {"down", "up", "mid"}):
        return _lora
    if given in (_LOHA, _LOHA - {"hada_t1", "hada_t2"}):
        return _loha
    first = given & {"lokr_w1", "lokr_w1_a", "lokr_w1_b"}
    second = given - first
    if first in ({"lokr_w1"}, {"lokr_w1_a", "lokr_w1_b"}) and second in (
        {"lokr_w2"},
        {"lokr_w2_a", "lokr_w2_b"},
        {"lokr_w2_a", "lokr_w2_b", "lokr_t2"},
    ):
        return _lokr
    raise IncompleteProduct


def _lora(tensors: _Tensors) -> Tensor:
    up, down = tensors["up"], tensors["down"]
    if "mid" in tensors:
        return torch.einsum("mn...,om,ni->oi...", tensors["mid"], up.flatten(1), down.flatten(1))
    return up.flatten(1) @ down.flatten(1)  # convolutions have more axes


def _loha(tensors: _Tensors) -> Tensor:
    first, second = (
        _of_pair(tensors[f"hada_w{n}_a"], tensors[f"hada_w{n}_b"], tensors.get(f"hada_t{n}"))  # type: ignore[index, call-overload]
        for n in (1, 2)
    )
    return first * second


def _lokr(tensors: _Tensors) -> Tensor:
    if "lokr_w1_a" in tensors and "lokr_w2_b" in tensors and len(tensors["lokr_w1_b"]) != len(tensors["lokr_w2_b"]):
        raise ValueError("the halves have different ranks")
    first = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    if "lokr_w2" in tensors:
        second = tensors["lokr_w2"]
    else:
        second = _of_pair(tensors["lokr_w2_a"], tensors["lokr_w2_b"], tensors.get("lokr_t2"))
    first = first.reshape(*first.shape, *[1] * (second.dim() - first.dim()))
    return torch.kron(first, second.contiguous())


def _of_pair(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    """``a`` [outputs, rank] times ``b`` [rank, inputs, …]; with a Tucker core, ``a`` is [rank, outputs]."""
    if core is not None:
        return torch.einsum("ij...,io,jr->or...", core, a, b)
    return (a @ b.flatten(1)).reshape(a.shape[0], *b.shape[1:])
