"""The training loop: steps, learning rate, moving average, log, saved state and resuming.

Every run gives it a module and a function from step number to loss.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from pocket.settings import RunLength
from pocket.train.optimiser import build_optimisers
from pocket.train.progress import new_bar
from pocket.train.state import load_state, save_state
from pocket.train.training_log import TrainingLog

Loss = Callable[[int], tuple[Tensor, Mapping[str, float]]]
"""Function from the step number, which is also the step's seed, to (loss, figures for the log)."""

_WARMUP_SHARE = 0.04
_LAST_RATE_SHARE = 0.01
_AVERAGE_DECAY = 0.998


class MovingAverage:
    """Exponential moving average of a module's parameters."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.values = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Move the averages towards the module's weights, faster in the first steps."""
        decay = min(_AVERAGE_DECAY, (1 + step) / (10 + step))
        for name, value in module.named_parameters():
            self.values[name].lerp_(value, 1.0 - decay)

    @torch.no_grad()
    def copy_to(self, module: torch.nn.Module) -> None:
        """Overwrite a module's weights with the averages."""
        for name, value in module.named_parameters():
            value.copy_(self.values[name])


def rate_share(step: int, step_count: int) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then cosine decay."""
    warmup = max(1, int(step_count * _WARMUP_SHARE))
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, step_count - warmup))
    return _LAST_RATE_SHARE + (1.0 - _LAST_RATE_SHARE) * 0.5 * (1.0 + math.cos(math.pi * done))


def train(
    name: str,
    module: torch.nn.Module,
    loss_of_step: Loss,
    length: RunLength,
    folder: Path,
    *,
    adam_only: tuple[str, ...] = (),
    save_every: int = 100,
    note_every: int = 25,
) -> None:
    """Train `module` in place; at the end it holds the averaged weights.

    State is saved to `folder/<name>.pt` every `save_every` steps. An interrupted run resumes from that file, a finished
    run is only loaded. Parameters whose name contains a part of `adam_only` are trained with AdamW. `TrainingLog` gets
    a line every `note_every` steps.
    """
    trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    optimisers = build_optimisers(trained, length.muon_rate, length.adam_rate, adam_only)
    peaks = [group["lr"] for optimiser in optimisers for group in optimiser.param_groups]
    average = MovingAverage(module)
    state_path = folder / f"{name}.pt"
    first_step = load_state(state_path, module, optimisers, average.values)
    log = TrainingLog(folder, name, first_step)
    module.train()
    with new_bar() as bar:
        task = bar.add_task(name, total=length.step_count, completed=first_step, note="")
        started = time.perf_counter()
        for step in range(first_step, length.step_count):
            share = rate_share(step, length.step_count)
            groups = [group for optimiser in optimisers for group in optimiser.param_groups]
            for group, peak in zip(groups, peaks, strict=True):
                group["lr"] = peak * share
            torch.manual_seed(step)
            loss, figures = loss_of_step(step)
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
            for optimiser in optimisers:
                optimiser.step()
            average.update(module, step)
            log.add(step, {"loss": float(loss.detach()), **figures})
            if (step + 1) % note_every == 0:
                seconds = (time.perf_counter() - started) / (step + 1 - first_step)
                bar.update(task, note=f"{log.flush()} {seconds:.3f} s/step")
            if (step + 1) % save_every == 0 or step + 1 == length.step_count:
                save_state(state_path, step + 1, module, optimisers, average.values)
            bar.advance(task)
    log.flush()
    log.plot()
    average.copy_to(module)
    module.eval()
