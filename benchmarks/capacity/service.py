"""The time that a card works on a clip: a mean and a standard deviation, or measured times."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class InputInvalid(Exception):
    """A flag or a file is wrong; the message names it, the fault and the remedy."""


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds of a clip on a card. ``samples`` are measured ones; without them times are drawn from a gamma."""

    mean_seconds: float
    spread_seconds: float
    samples: tuple[float, ...] = ()

    @property
    def squared_variation(self) -> float:
        """The squared coefficient of variation: 0 for equal times, 1 for an exponential distribution."""
        return (self.spread_seconds / self.mean_seconds) ** 2

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Returns ``count`` times in seconds."""
        if self.samples:
            return random.choice(np.array(self.samples), size=count)
        if not self.spread_seconds:
            return np.full(count, self.mean_seconds)
        shape = 1 / self.squared_variation
        return random.gamma(shape, self.mean_seconds / shape, size=count)


def stated(mean_seconds: float, spread_seconds: float) -> ServiceTimes:
    """Returns times of which mean and standard deviation are known. Raises ``InputInvalid``."""
    for flag, value, lowest in (("--mean-seconds", mean_seconds, 1e-6), ("--spread-seconds", spread_seconds, 0.0)):
        if not math.isfinite(value) or value < lowest:
            raise InputInvalid(f"{flag} {value:g} is not a time; give seconds, the mean above 0")
    return ServiceTimes(mean_seconds, spread_seconds)


def measured(samples: tuple[float, ...], source: str) -> ServiceTimes:
    """Returns times as they were measured; ``source`` names them in a message. Raises ``InputInvalid``."""
    if not samples:
        raise InputInvalid(f"{source} holds no times; give a JSON list of seconds, such as [61.2, 58.9]")
    for number, value in enumerate(samples, start=1):
        if not math.isfinite(value) or value <= 0:
            raise InputInvalid(f"{source}: number {number}, {value:g}, is not a time in seconds above 0")
    return ServiceTimes(float(np.mean(samples)), float(np.std(samples)), samples)


def read_list(file: Path) -> ServiceTimes:
    """Reads a JSON list of seconds. Raises ``InputInvalid``."""
    try:
        found = json.loads(_text(file))
    except ValueError as error:
        raise InputInvalid(f"{file} is not JSON: {error}") from None
    if not isinstance(found, list) or not all(type(item) in (int, float) for item in found):
        raise InputInvalid(f"{file} is not a JSON list of numbers; give seconds, such as [61.2, 58.9]")
    return measured(tuple(float(item) for item in found), str(file))


def read_metrics(file: Path, spread_seconds: float) -> ServiceTimes:
    """Reads a server's metrics page: engine time of all jobs for each completed clip. Raises ``InputInvalid``.

    Work on jobs that were cancelled or failed is part of what a clip costs. The page does not tell the spread.
    """
    try:
        families = {family.name: family.samples for family in text_string_to_metric_families(_text(file))}
    except ValueError as error:
        raise InputInvalid(f"{file} is not a metrics page: {error}") from None
    seconds = sum(sample.value for sample in families.get("stillcue_engine_seconds", ()))
    jobs = families.get("stillcue_jobs", ())
    completed = sum(sample.value for sample in jobs if sample.labels.get("outcome") == "completed")
    if not completed or not seconds:
        raise InputInvalid(
            f"{file} tells of no completed clip; save /metrics of a server that made some "
            "(stillcue_engine_seconds_total, stillcue_jobs_total)"
        )
    return stated(seconds / completed, spread_seconds)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"cannot read {file}: {error}") from None
