"""The graphs of a bundle, loaded. Knows which stages a family has; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.bundle import GraphSpec, Manifest, StageName
from engine.runtime.base import Graph, Runtime
from engine.types import Family, Geometry

_COMMON: tuple[StageName, ...] = (
    "text_encoder",
    "vae_encoder_init",
    "guide_and_step",
    "vae_decoder_init",
    "vae_decoder_step",
)
_OF_FAMILY: Mapping[Family, tuple[StageName, ...]] = {
    Family.WAN22_I2V_A14B: (*_COMMON, "vae_encoder_step", "transformer_high", "transformer_low"),
    Family.WAN22_TI2V_5B: (*_COMMON, "transformer"),
}
_OF_SCORER: tuple[StageName, ...] = ("scorer_image", "scorer_text")


class BundleGraphs:
    """Every graph that the bundle's geometries need, loaded once."""

    def __init__(self, folder: Path, manifest: Manifest, runtime: Runtime) -> None:
        self._manifest = manifest
        wanted: dict[str, GraphSpec] = {}
        for item in manifest.geometries:
            geometry = Geometry(item.width_px, item.height_px, item.frame_count)
            stages = _OF_FAMILY[manifest.family] + (_OF_SCORER if manifest.scorer else ())
            specs = (manifest.graph(stage, geometry) for stage in stages)
            wanted |= {spec.file: spec for spec in specs}
        with ThreadPoolExecutor() as pool:  # loading is native code that releases the interpreter
            loaded = pool.map(lambda spec: runtime.load(folder, spec), wanted.values())
            self._by_file: dict[str, Graph] = dict(zip(wanted, loaded, strict=True))

    def get(self, stage: StageName, geometry: Geometry) -> Graph:
        """The graph of a stage for a geometry."""
        return self._by_file[self._manifest.graph(stage, geometry).file]
