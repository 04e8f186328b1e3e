"""Outcomes that were drawn from known log odds, in the form of the evaluation's ``outcomes.jsonl``."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success import IDEAL
from engine.matching.success_factors import FAULTLESS

PAIR_WEIGHTS = {"action": 3.0, "guidance_above": -1.5}
PAIR_OFFSET = 0.0
GROUP_COUNT = 75
# Arm: the figures that differ from a faultless pair, and the remedy that mends it.
ARMS: dict[str, tuple[dict[str, float], str | None]] = {
    "matched": ({}, None),
    "implausible": ({"action": 0.1, "score": 0.5}, "match"),
    "guidance_8": ({"guidance_above": 1.7}, "guidance"),
    "small": ({"coverage_lack": 0.4}, "picture"),
}


def synthetic_outcomes(seed: int = 0, per_group: int = 1) -> list[dict[str, Any]]:
    """Lines of every arm, group and repetition.

    Success depends on ``PAIR_WEIGHTS`` alone. The figure ``new_content`` of a clip is 0.1 higher where it failed, with
    noise of 0.05; ``burnt_gain`` does not vary; the other figures of clips vary by chance.
    """
    rng = np.random.default_rng(seed)
    return [_line(rng, arm, f"pair {group}") for arm in ARMS for group in range(GROUP_COUNT) for _ in range(per_group)]


def _line(rng: np.random.Generator, arm: str, group: str) -> dict[str, Any]:
    changes, remedy = ARMS[arm]
    pair = {**FAULTLESS, **changes}
    pair["environment"] = float(rng.uniform(0.8, 1.0))
    odds = PAIR_OFFSET + sum(weight * pair[name] for name, weight in PAIR_WEIGHTS.items())
    success = bool(rng.random() < 1.0 / (1.0 + np.exp(-odds)))
    clip = {name: value - 0.02 * float(rng.random()) * np.sign(value - 0.5) for name, value in FLAWLESS.items()}
    clip["new_content"] = float(rng.normal(0.1 if success else 0.2, 0.05))
    clip["burnt_gain"] = 0.0
    figures = {**pair, **clip}
    return {
        "group": group,
        "arm": arm,
        "is_matched": remedy is None,
        "success": success,
        "label_source": "truth",
        "factors": {name: float(figures[name]) for name in IDEAL},
        "score": 100.0 * pair["score"],
        "right_remedy": remedy,
        "symptoms": [],
        "remedies": ["match", "shorten"],
    }
