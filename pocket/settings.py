"""Constants of pocket: folders, model sizes, sampling schedule and the lengths of all training runs."""

from dataclasses import dataclass
from pathlib import Path

WORK_FOLDER = Path("out/pocket")
BUNDLE_FOLDER = Path("pocket/model")
CHECKPOINT_NAME = "checkpoint"
CHECKPOINT_FOLDER = BUNDLE_FOLDER / CHECKPOINT_NAME

LATENT_CHANNELS = 16
TEXT_TOKENS = 512
SCORER_TOKENS = 64
SCORER_PATCH_PX = 8
BOUNDARY_RATIO = 0.9
FLOW_SHIFT = 5.0
CLIP_COUNT = 8000


@dataclass(frozen=True)
class RunLength:
    """Steps, batch size, and peak learning rates (Muon's and AdamW's) of one training run."""

    step_count: int
    batch_size: int
    muon_rate: float
    adam_rate: float


RUNS = {
    "vae_pictures": RunLength(3200, 8, 0.01, 2e-3),
    "vae_clips": RunLength(525, 2, 0.004, 6e-4),
    "vae_whole": RunLength(600, 2, 0.0015, 3e-4),
    "vae_decoder": RunLength(2600, 4, 0.005, 5e-4),
    "text": RunLength(600, 128, 0.01, 2e-3),
    "transformer": RunLength(5200, 64, 0.01, 1e-3),
    "expert_high": RunLength(2200, 64, 0.006, 6e-4),
    "expert_low": RunLength(4400, 64, 0.006, 6e-4),
    "scorer": RunLength(1500, 64, 0.01, 1e-3),
}
