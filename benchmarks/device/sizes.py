"""Configurations and sizes of every step: the official ones, and small ones that a CPU runs at once. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.full_size import A14B_EXPERT, UMT5_XXL, VAE_16_CHANNELS


@dataclass(frozen=True)
class Sizes:
    """``square`` is the side of the matrices whose product is timed; ``tokens`` those of one latent frame."""

    expert: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    width_px: int
    height_px: int
    latent_frame_count: int
    square: int
    copy_bytes: int
    prompt_token_counts: tuple[int, int] = (63, 40)  # 64 rows of text

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Latent frames, height and width."""
        return self.latent_frame_count, self.height_px // 8, self.width_px // 8

    @property
    def frame_token_count(self) -> int:
        """Tokens of one latent frame."""
        return self.height_px // 16 * (self.width_px // 16)

    @property
    def token_count(self) -> int:
        """Tokens of a clip."""
        return self.latent_frame_count * self.frame_token_count

    @property
    def expert_width(self) -> int:
        """Features of a token inside the expert."""
        return int(self.expert["num_attention_heads"] * self.expert["attention_head_dim"])


_TRUE = Sizes(A14B_EXPERT, VAE_16_CHANNELS, UMT5_XXL, 832, 480, 21, 8192, 4 << 30)
_TINY = Sizes(
    expert={
        **A14B_EXPERT,
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "text_dim": 16,
        "freq_dim": 32,
        "ffn_dim": 128,
        "num_layers": 2,
    },
    vae={**VAE_16_CHANNELS, "base_dim": 4, "num_res_blocks": 1},
    text={**UMT5_XXL, "vocab_size": 128, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    width_px=48,
    height_px=32,
    latent_frame_count=3,
    square=64,
    copy_bytes=1 << 20,
)


def sizes(is_tiny: bool) -> Sizes:
    """Of a run."""
    return _TINY if is_tiny else _TRUE
