"""Loads a bundle: manifest, memory plan, digests, graphs. Imports no pipeline, so that graphs load before it does.

Gigabytes are read last: a bundle that does not fit the machine is refused in a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.api.settings import VerifyDigests
from engine.bundle.checked_files import CheckedFiles
from engine.bundle.file_check import check_files
from engine.bundle.folder import open_manifest
from engine.bundle.manifest import Manifest
from engine.memory.graphs import BundleGraphs
from engine.memory.plan import BundleMemoryPlan, plan_memory
from engine.runtime.base import Runtime


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """A bundle whose resident graphs are in memory. ``digest`` is the SHA-256 of the manifest, in hexadecimal."""

    folder: Path
    manifest: Manifest
    digest: str
    runtime: Runtime
    plan: BundleMemoryPlan
    graphs: BundleGraphs


def load_bundle(
    folder: Path,
    runtime: Runtime,
    memory_budget_bytes: int | None = None,
    compute_capability: str | None = None,
    *,
    shares_weights: bool = True,
    cache_folder: Path | None = None,
    verify_digests: VerifyDigests = "once",
) -> LoadedBundle:
    """Reads the manifest, plans the memory, checks every file, and loads the graphs that stay in memory.

    ``memory_budget_bytes`` None sets no limit. For ``shares_weights`` see ``demand_of``. ``cache_folder`` keeps which
    files matched their digests; None: each file is read. Raises ``BundleInvalid``, including ``DoesNotFit``.
    """
    manifest, digest = open_manifest(folder)
    plan = plan_memory(manifest, compute_capability, memory_budget_bytes, shares_weights=shares_weights)
    check_files(folder, manifest, CheckedFiles(cache_folder, digest, is_forgetful=verify_digests == "always"))
    graphs = BundleGraphs(folder, manifest, runtime, plan, compute_capability)
    return LoadedBundle(folder, manifest, digest, runtime, plan, graphs)
