"""Two callers with tokens, and the file that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.security.callers import hash_of

if TYPE_CHECKING:
    from pathlib import Path


SHOP = (("authorization", "Bearer shop"),)
STUDIO = (("authorization", "Bearer studio"),)


def callers(tmp_path: Path, limits: str) -> Path:
    """Two callers; ``limits`` are the shop's."""
    path = tmp_path / "callers"
    path.write_text(f"shop {hash_of('shop')} {limits}\nstudio {hash_of('studio')}\n")
    return path
