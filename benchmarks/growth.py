"""Time and peak memory by size and length, beside eager Diffusers.

    python -m benchmarks.growth --json FILE [--size 64 128 256] [--frames 17 33 65] [--steps 2] [--bundle B]

Each clip and side is a process of its own, which makes the clip twice; the second take counts. Both sides run the
pocket checkpoint. ``*_added_bytes`` is the peak minus the memory of the process before its first clip, so that
libraries and weights do not hide the growth. Exponents are slopes of least squares of logarithms over all clips, by
tokens of the transformer: 1 is growth with the tokens, 2 with their square.

``--bundle`` is a folder for the exported bundle, or of one with all sizes and lengths that lies there from another run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.clip import Take
from benchmarks.processes import Side
from benchmarks.report import Report
from benchmarks.subject import POCKET_CHECKPOINT, write_clip
from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME, read_manifest
from engine.bundle.manifest import Manifest
from export.bundle.exporter import export_bundle
from export.bundle.plan import ExportPlan
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS

SIDES = ("engine", "diffusers")
_PROMPTS = ("a white cat jumps", "a white cat jumps to the left")
_NEGATIVE_PROMPTS = ("blurred", "static")  # guidance is on, so both are encoded, and no take reads a cache
_GUIDANCE_SCALE = 3.5


def main() -> None:
    """Measures every clip on both sides, prints the figures and writes them."""
    options = _options()
    geometries = [Geometry(side, side, count) for side, count in itertools.product(options.size, options.frames)]
    figures: dict[str, float] = {"step_count": options.steps}
    tokens: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=None if options.bundle is None else options.bundle.resolve().parent) as name:
        bundle = options.bundle or Path(name) / "all"
        manifest = _exported(bundle, geometries)
        for geometry in geometries:
            case = _case(geometry)
            tokens[case] = token_count(geometry, manifest)
            work = Path(name) / case
            alone = bundle_of(work / "bundle", bundle, manifest, geometry)
            clip = write_clip(work, manifest, geometry, options.steps, _GUIDANCE_SCALE)
            figures |= {f"{case}_tokens": tokens[case], **_measured(case, work, alone, clip)}
    figures |= exponents(figures, tokens)
    report = Report("growth", figures)
    report.show()
    report.write(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--size", type=int, nargs="+", default=[64, 128, 256], help="sides of square clips in pixels")
    parser.add_argument("--frames", type=int, nargs="+", default=[17, 33, 65], help="frame counts, 4n + 1")
    parser.add_argument("--steps", type=int, default=2, help="denoising steps")
    parser.add_argument("--bundle", type=Path, help="folder of the bundle (default: exported for this run)")
    return parser.parse_args()


def token_count(geometry: Geometry, manifest: Manifest) -> int:
    """Tokens that the transformer attends to: 2x2 latent cells each."""
    latent = manifest.latent
    frame_count = (geometry.frame_count - 1) // latent.temporal_stride + 1
    side = 2 * latent.spatial_stride
    return frame_count * (geometry.width_px // side) * (geometry.height_px // side)


def exponents(figures: Mapping[str, float], tokens: Mapping[str, int]) -> dict[str, float]:
    """The exponent of each side's time and added memory in the tokens; none of a single clip."""
    if len(set(tokens.values())) < 2:
        return {}
    logarithms = np.log([tokens[case] for case in tokens])

    def slope(kind: str) -> float:
        return float(np.polyfit(logarithms, np.log([figures[f"{case}_{kind}"] for case in tokens]), 1)[0])

    kinds = [f"{side}_{what}" for side in SIDES for what in ("seconds", "added_bytes")]
    return {f"{kind}_exponent": slope(kind) for kind in kinds}


def bundle_of(folder: Path, bundle: Path, manifest: Manifest, geometry: Geometry) -> Path:
    """A bundle of one geometry whose files are links to those of a larger one, so that nothing else is loaded."""
    graphs = tuple(graph for graph in manifest.graphs if graph.serves(geometry))
    left_out = {graph.file for graph in manifest.graphs} - {graph.file for graph in graphs}
    files = {name: spec for name, spec in manifest.files.items() if name not in left_out}
    wanted = (geometry.width_px, geometry.height_px, geometry.frame_count)
    geometries = tuple(
        item for item in manifest.geometries if (item.width_px, item.height_px, item.frame_count) == wanted
    )
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(bundle / name, folder / name)
    changed = manifest.with_changes(graphs=graphs, files=files, geometries=geometries)
    (folder / MANIFEST_NAME).write_text(changed.to_json(), encoding="utf-8")
    return folder


def _exported(bundle: Path, geometries: Sequence[Geometry]) -> Manifest:
    checkpoint = open_checkpoint(POCKET_CHECKPOINT)
    if (bundle / MANIFEST_NAME).is_file():
        return read_manifest(bundle)[0]
    plan = ExportPlan(
        checkpoint, bundle, tuple(geometries), FAMILY_DEFAULTS[checkpoint.family], "growth", verify="never"
    )
    return export_bundle(plan, report=lambda line: print(line, flush=True))


def _case(geometry: Geometry) -> str:
    return f"{geometry.width_px}x{geometry.height_px}x{geometry.frame_count}"


def _measured(case: str, work: Path, bundle: Path, clip: Path) -> dict[str, float]:
    places = {"engine": str(bundle), "diffusers": str(POCKET_CHECKPOINT.resolve())}
    figures: dict[str, float] = {}
    for side in SIDES:
        with Side(f"benchmarks.{side}_side", places[side], str(clip)) as process:
            before = process.resident_bytes()
            for prompt, negative in zip(_PROMPTS, _NEGATIVE_PROMPTS, strict=True):
                timing = process.make(Take(prompt, negative, str(work / "frames.npy")))
        figures[f"{case}_{side}_seconds"] = timing.end_to_end
        figures[f"{case}_{side}_peak_bytes"] = timing.peak_memory_bytes
        figures[f"{case}_{side}_added_bytes"] = timing.peak_memory_bytes - before
    for what in ("seconds", "peak_bytes", "added_bytes"):
        figures[f"{case}_{what}_ratio"] = figures[f"{case}_engine_{what}"] / figures[f"{case}_diffusers_{what}"]
    time_ratio, memory_ratio = figures[f"{case}_seconds_ratio"], figures[f"{case}_peak_bytes_ratio"]
    print(f"{case}: {time_ratio:.2f} of Diffusers' time, {memory_ratio:.2f} of its peak memory", flush=True)
    return figures


if __name__ == "__main__":
    main()
