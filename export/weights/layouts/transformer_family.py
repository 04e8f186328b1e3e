"""The family of a transformer, from the channels of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.api.capabilities import Family

_MASK_CHANNELS = 4
_5B_CHANNELS = 48


def family_of_transformer(configuration: Mapping[str, Any]) -> Family | None:
    """The family whose channels a transformer has; None for a transformer of no image-to-video family.

    A14B takes noise, a mask of 4 channels and the picture's latent, 2 z + 4 channels in and z out. The 5B takes 48 and
    gives 48, where text-to-video takes 16 and gives 16.
    """
    taken, given = configuration.get("in_channels"), configuration.get("out_channels")
    if not isinstance(taken, int) or not isinstance(given, int):
        return None
    if taken == 2 * given + _MASK_CHANNELS:
        return Family.WAN22_I2V_A14B
    return Family.WAN22_TI2V_5B if taken == given == _5B_CHANNELS else None
