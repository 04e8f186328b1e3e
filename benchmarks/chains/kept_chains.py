"""Finished chains in a folder, one file for each, so that an interrupted run goes on where it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from benchmarks.chains.made_chain import MadeChain


class KeptChains:
    """Chains of one bundle. A file is complete or absent; a damaged one counts as absent."""

    def __init__(self, folder: Path, bundle_digest: str) -> None:
        """Raises ``SystemExit`` for the chains of another bundle."""
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "bundle_digest"
        if not source.exists():
            source.write_text(bundle_digest, encoding="utf-8")
        elif source.read_text(encoding="utf-8") != bundle_digest:
            raise SystemExit(f"{folder} holds chains of another bundle; name another --out")
        self._folder = folder

    def find(self, group: str, index: int) -> MadeChain | None:
        """The chain of a case; ``group`` names method and kind of story."""
        try:
            with np.load(self._file(group, index)) as content:
                return MadeChain(content["frames"], tuple(int(start) for start in content["starts"]))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def keep(self, group: str, index: int, chain: MadeChain) -> None:
        """Writes the chain's file at once or not at all."""
        file = self._file(group, index)
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez_compressed(stream, frames=chain.frames, starts=np.array(chain.starts))
        partial.replace(file)

    def _file(self, group: str, index: int) -> Path:
        return self._folder / group / f"{index:04d}.npz"
