"""Pictures of ComfyUI (IMAGE tensors) and pictures of Stillcue (PNG files)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as it is sent to a server; ``width_px`` and ``height_px`` 0: the size by the picture."""

    data: bytes
    width_px: int
    height_px: int
    fit: str
