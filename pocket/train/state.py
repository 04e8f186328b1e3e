"""Saves and loads the state of a training run; a process killed at any moment leaves a readable file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save_state(
    path: Path,
    step: int,
    module: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> None:
    """Write everything a run needs to resume; the file is replaced atomically."""
    save_atomically(
        path,
        {
            "step": step,
            "module": module.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "average": average,
        },
    )


def save_atomically(path: Path, content: dict[str, Any]) -> None:
    """Write with torch.save to a temporary file, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save(content, partial)
    partial.replace(path)


def load_state(
    path: Path,
    module: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> int:
    """Load a saved run into the arguments and return the next step; returns 0 if the file does not exist.

    A run adopted from a checkpoint has weights only; its optimisers keep their initial state.
    """
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    if state["optimisers"]:
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    for name, value in state["average"].items():
        average[name].copy_(value)
    return int(state["step"])


def load_average(path: Path, module: torch.nn.Module) -> int:
    """Load the averaged weights of a run, finished or not, into `module` and return the run's step.

    Raises FileNotFoundError if the run was never saved.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(state["average"][name])
    return int(state["step"])
