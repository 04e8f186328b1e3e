"""Loads a bundle: manifest, digests, memory plan, graphs. Imports no pipeline, so that graphs load before it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.bundle.folder import read_manifest
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
    folder: Path, runtime: Runtime, memory_budget_bytes: int | None = None, compute_capability: str | None = None
) -> LoadedBundle:
    """Reads the manifest, checks every file, plans the memory, and loads the graphs that stay in memory.

    ``memory_budget_bytes`` None sets no limit. Raises ``BundleInvalid``, including ``DoesNotFit``.
    """
    manifest, digest = read_manifest(folder)
    plan = plan_memory(manifest, compute_capability, memory_budget_bytes)
    graphs = BundleGraphs(folder, manifest, runtime, plan, compute_capability)
    return LoadedBundle(folder, manifest, digest, runtime, plan, graphs)
