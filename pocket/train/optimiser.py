"""The optimisers: Muon for matrices and convolutions, AdamW for everything else.

Muon replaces the update of a matrix by a nearly orthogonal one (Newton-Schulz iteration; coefficients from K. Jordan
et al., "Muon", 2024).
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
_ADAM_BETAS = (0.9, 0.99)


def orthogonalise(update: Tensor) -> Tensor:
    """Bring the singular values of each matrix in `update` [..., rows, columns] close to 1; computes in bfloat16."""
    a, b, c = _COEFFICIENTS
    tall = update.shape[-2] > update.shape[-1]
    x = update.mT if tall else update
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates; tensors of more than two axes are flattened to matrices."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update all parameters once, batching those of one shape."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum: Tensor = state["momentum"]
                momentum.lerp_(parameter.grad, 1.0 - _MOMENTUM)
                update = parameter.grad.lerp(momentum, _MOMENTUM).flatten(1)  # [rows, columns]
                alike.setdefault(update.shape, []).append((parameter, update))
            for (rows, columns), members in alike.items():
                rate = group["lr"] * math.sqrt(max(1.0, rows / columns))
                directions = orthogonalise(torch.stack([update for _, update in members]))
                for (parameter, _), direction in zip(members, directions, strict=True):
                    parameter.add_(direction.reshape(parameter.shape), alpha=-rate)


def build_optimisers(
    named: Iterable[tuple[str, torch.nn.Parameter]],
    muon_rate: float,
    adam_rate: float,
    adam_only: tuple[str, ...] = (),
) -> list[torch.optim.Optimizer]:
    """Split named parameters between Muon and AdamW; a name that contains a part of `adam_only` goes to AdamW."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in named:
        is_matrix = parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) > 3
        is_plain = is_matrix and not any(part in name for part in adam_only)
        (matrices if is_plain else others).append(parameter)
    optimisers: list[torch.optim.Optimizer] = []
    if matrices:
        optimisers.append(Muon(matrices, muon_rate))
    if others:
        optimisers.append(torch.optim.AdamW(others, adam_rate, betas=_ADAM_BETAS, weight_decay=0.0))
    return optimisers
