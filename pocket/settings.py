"""Sizes of the models and lengths of the training runs, in one place.

Knows numbers only.
"""

from dataclasses import dataclass
from pathlib import Path

WORK_FOLDER = Path("out/pocket")
CHECKPOINT_FOLDER = Path("pocket/model/checkpoint")

LATENT_CHANNELS = 16
TEXT_TOKENS = 512
SCORER_TOKENS = 64
BOUNDARY_RATIO = 0.9
FLOW_SHIFT = 5.0
CLIP_COUNT = 3000
ENCODED_CLIP_COUNT = 1440


@dataclass(frozen=True)
class RunLength:
    """Length, batch and peak learning rates of one training run."""

    step_count: int
    batch_size: int
    muon_rate: float
    adam_rate: float


RUNS = {
    "vae_pictures": RunLength(3200, 8, 0.01, 2e-3),
    "vae_clips": RunLength(500, 2, 0.004, 6e-4),
    "vae_decoder": RunLength(220, 1, 0.0015, 2e-4),
    "text": RunLength(600, 128, 0.01, 2e-3),
    "transformer": RunLength(800, 16, 0.01, 1e-3),
    "expert_high": RunLength(560, 16, 0.008, 8e-4),
    "expert_low": RunLength(650, 16, 0.008, 8e-4),
    "scorer": RunLength(500, 96, 0.01, 1e-3),
}
