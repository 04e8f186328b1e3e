"""Peak memory of decoding a clip, by clip length: the engine's frame-by-frame decoder and Diffusers' ``vae.decode``.

    python -m benchmarks.decode_memory --json FILE [--size 128x128]

Each length and side decodes in a fresh process that loads nothing but the decoder. The VAE has the pocket model's
shape and random weights; the latents are noise. ``*_added_at_N_bytes`` is the peak minus the memory of the process
before decoding; growth ratios compare these figures, because libraries and weights would hide the growth. The engine's
frames are dropped as they arrive; Diffusers returns all of them at once, so its figures include the clip. Time is not
measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from engine.api.capabilities import Geometry
from engine.bundle.folder import read_manifest
from engine.runtime.process_memory import peak_resident_bytes

LATENT_FRAME_COUNTS = (5, 11, 21, 41)
_TARGETS = {"growth_ratio_5_to_41": 1.05}


def main() -> None:
    """Measures all lengths and sides, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode_memory")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--size", default="128x128", help="WIDTHxHEIGHT in pixels")
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    geometry = Geometry(int(width), int(height), 5)
    figures: dict[str, float] = {"width_px": geometry.width_px, "height_px": geometry.height_px}
    with tempfile.TemporaryDirectory() as name:
        checkpoint, bundle = _prepare(Path(name), geometry)
        for side, folder in (("engine", bundle), ("diffusers", checkpoint)):
            for count in LATENT_FRAME_COUNTS:
                before, peak = _measure(side, folder, geometry, count)
                figures[f"{side}_peak_at_{count}_bytes"] = peak
                figures[f"{side}_added_at_{count}_bytes"] = peak - before
    shortest, longest = LATENT_FRAME_COUNTS[0], LATENT_FRAME_COUNTS[-1]
    for side, prefix in (("engine", ""), ("diffusers", "diffusers_")):
        growth = figures[f"{side}_added_at_{longest}_bytes"] / figures[f"{side}_added_at_{shortest}_bytes"]
        figures[f"{prefix}growth_ratio_{shortest}_to_{longest}"] = growth
    report = Report("decode_memory", figures, _TARGETS)
    report.show()
    report.write(options.json)


def _prepare(folder: Path, geometry: Geometry) -> tuple[Path, Path]:
    """Writes a random checkpoint with pocket's VAE shape and tiny transformers; returns it and its exported bundle."""
    from tests.checkpoints import TinyModel
    from tests.exporting import export_tiny

    exported = export_tiny(folder, TinyModel(layer_count=1, head_count=1, vae_size=16), (geometry,))
    return exported.checkpoint, exported.bundle


def _measure(side: str, folder: Path, geometry: Geometry, latent_frame_count: int) -> tuple[int, int]:
    """Returns (bytes before, peak bytes) of a decode in a fresh process."""
    arguments = (side, str(folder), str(geometry.width_px), str(geometry.height_px), str(latent_frame_count))
    process = spawn("benchmarks.decode_memory", "--worker", *arguments)
    before, peak = json.loads(first_line(process))
    process.communicate()
    return before, peak


def decode(side: str, folder: Path, width_px: int, height_px: int, latent_frame_count: int) -> tuple[int, int]:
    """Decodes noise in this process and returns its peak memory in bytes before and after."""
    latents = np.random.default_rng(0).standard_normal(
        (1, 16, latent_frame_count, height_px // 8, width_px // 8), dtype=np.float32
    )
    if side == "engine":
        return _decode_with_engine(folder, Geometry(width_px, height_px, 5), latents)
    return _decode_with_diffusers(folder, latents)


def _decode_with_engine(bundle: Path, geometry: Geometry, latents: np.ndarray) -> tuple[int, int]:
    from engine.api.cancellation import CancelFlag
    from engine.generate.causal_vae_stream import CausalVaeStream
    from engine.runtime.execution import Execution
    from engine.runtime.ort import OrtRuntime

    manifest, _ = read_manifest(bundle)
    runtime = OrtRuntime(0)
    init, step = (
        runtime.load(bundle, manifest.graph(stage, geometry)) for stage in ("vae_decoder_init", "vae_decoder_step")
    )
    before = peak_resident_bytes()
    stream = CausalVaeStream(Execution(runtime, CancelFlag()), init, step)
    for index in range(latents.shape[2]):
        stream.run(latents[:, :, index : index + 1])
    return before, peak_resident_bytes()


def _decode_with_diffusers(checkpoint: Path, latents: np.ndarray) -> tuple[int, int]:
    import torch
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan.from_pretrained(checkpoint, subfolder="vae", torch_dtype=torch.float32)
    before = peak_resident_bytes()
    with torch.no_grad():
        vae.decode(torch.from_numpy(latents), return_dict=False)
    return before, peak_resident_bytes()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(decode(sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:]))))
    else:
        main()
