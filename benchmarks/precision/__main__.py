"""Measures error and PSNR of every quantisation recipe on a bundle that holds its checkpoint.

    python -m benchmarks.precision --json FILE [--markdown docs/precision.md] [--bundle pocket/model] [--clips 4]
                                   [--keep FOLDER]

Pictures and prompts come from the pocket model's synthetic world; calibration and measurement use different clips.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.precision.attention import attention_errors
from benchmarks.precision.runs import Asked, Record, make_clips, psnr_db, relative_error, run_transformer
from benchmarks.precision.table import markdown
from benchmarks.precision.variants import COMPONENTS, Variant, transformer_specs, write_variant
from benchmarks.report import machine
from engine.api.capabilities import Geometry
from engine.bundle.folder import read_manifest
from engine.bundle.manifest import Manifest
from export.library_logging import hide_progress_bars, quiet_libraries
from export.quantise.calibrate import calibrate
from export.quantise.calibration import Calibration, load_calibration
from export.quantise.samples import Pair
from export.weights.layouts.opening import open_checkpoint
from pocket.world import LANGUAGES, caption, render_clip, sample_spec

_VARIANTS = (
    Variant("fp16", "fp16"),
    Variant("bf16", "bf16"),
    Variant("int8", "int8"),
    Variant("fp8", "fp8"),
    Variant("fp8_attention", "fp8", with_attention=True),
    Variant("int4", "int4"),
    Variant("int4_nearest", "int4", with_moments=False),
)
_GROUPS = (
    r"attn1\.to_[qk]\.weight",
    r"attn1\.to_v\.weight",
    r"attn1\.to_out\.0\.weight",
    r"attn2\.to_q\.weight",
    r"attn2\.to_[kv]\.weight",
    r"attn2\.to_out\.0\.weight",
    r"ffn\.net\.0\.proj\.weight",
    r"ffn\.net\.2\.weight",
)
_NO_LINEAR = r"^$"
_CALIBRATION_SEED, _CLIP_SEED = 5_000_000, 7_000_000
_RECORD_STRIDE = 5


def main() -> None:
    """Measures all recipes, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--markdown", type=Path, help="file for the page")
    parser.add_argument("--bundle", type=Path, default=Path("pocket/model"), help="bundle with checkpoint/ inside")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=6, help="clips to calibrate on")
    parser.add_argument("--steps", type=int, help="denoising steps (default: the bundle's)")
    parser.add_argument("--keep", type=Path, help="new folder in which the bundles of the recipes stay")
    options = parser.parse_args()
    hide_progress_bars()
    with contextlib.ExitStack() as folders, quiet_libraries():
        folder = options.keep or Path(folders.enter_context(tempfile.TemporaryDirectory()))
        measurement = _Measurement(options, folder)
        rows = [measurement.row(variant) for variant in _VARIANTS]
        groups = [*(measurement.group(pattern) for pattern in _GROUPS), measurement.attention()]
        lengths = attention_errors()
    for row in (*rows, *lengths):
        print(row)
    setting = measurement.setting()
    content = {
        "name": "precision",
        "machine": machine(),
        "setting": setting,
        "recipes": rows,
        "groups": groups,
        "attention": lengths,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    _write_json(options.json, content)
    if options.markdown is not None:
        options.markdown.write_text(markdown(content), encoding="utf-8")


class _Measurement:
    """Measures variants against one set of clips generated in float32."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._manifest: Manifest = read_manifest(options.bundle)[0]
        first = self._manifest.geometries[0]
        self._geometry = Geometry(first.width_px, first.height_px, first.frame_count)
        self._steps: int = options.steps or self._manifest.schedule.step_count
        self._calibrations = self._calibrate()
        self._record = Record(_RECORD_STRIDE)
        self._asked = [_asked(index) for index in range(options.clips)]
        self._clips = make_clips(options.bundle, self._asked, self._steps, self._record)
        self._specs = transformer_specs(self._manifest)
        self._expected = {
            spec.stage: run_transformer(options.bundle / spec.file, self._record.inputs[spec.stage])
            for spec in self._specs
        }
        self._half_bytes = sum(
            2 * int(np.prod(shards_shape))
            for component in {COMPONENTS[spec.stage] for spec in self._specs}
            for shards_shape in _shapes(options.bundle / "checkpoint" / component)
        )

    def row(self, variant: Variant) -> dict[str, Any]:
        """Returns the table row of one recipe: error of each expert with and without half precision, PSNR, bytes."""
        bundle = self._folder / variant.name
        byte_count = write_variant(self._options.bundle, self._manifest, variant, self._calibrations, bundle)
        clips = make_clips(bundle, self._asked, self._steps)
        psnr = [psnr_db(ours, theirs) for ours, theirs in zip(clips, self._clips, strict=True)]
        alone: list[float | None] = [None] * len(self._specs)
        if variant.precision not in {"fp16", "bf16"}:
            alone = [*self._errors(replace(variant, name=f"{variant.name}_alone", with_halves=False))]
        return {
            "name": variant.name,
            "errors": self._errors_of(bundle),
            "linear_errors": alone,
            "psnr_mean_db": float(np.mean(psnr)),
            "psnr_worst_db": float(np.min(psnr)),
            "weight_share": byte_count / self._half_bytes,
        }

    def group(self, pattern: str) -> dict[str, Any]:
        """Returns the first expert's error in each format with only the linear layers of ``pattern`` quantised."""
        figures: dict[str, Any] = {"group": pattern.replace("\\", "").removesuffix(".weight")}
        for name, precision, with_moments in (
            ("int8", "int8", True),
            ("fp8", "fp8", True),
            ("int4_nearest", "int4", False),
            ("int4", "int4", True),
        ):
            variant = Variant(f"group_{name}", precision, with_moments, False, pattern)  # type: ignore[arg-type]
            figures[name] = self._errors(variant)[0]
        return figures

    def attention(self) -> dict[str, Any]:
        """Returns the first expert's error with only self-attention in FP8, in the form of ``group``."""
        alone = Variant("attention_alone", "fp8", with_halves=False, only=_NO_LINEAR, with_attention=True)
        return {"group": "self-attention itself", "fp8": self._errors(alone)[0]}

    def setting(self) -> dict[str, Any]:
        """Returns the settings under which the figures were measured."""
        return {
            "name": self._manifest.name,
            "checkpoint_digest": self._manifest.checkpoint_digest,
            "width_px": self._geometry.width_px,
            "height_px": self._geometry.height_px,
            "frame_count": self._geometry.frame_count,
            "step_count": self._steps,
            "clip_count": self._options.clips,
            "calibration_pairs": self._options.pairs,
        }

    def _errors(self, variant: Variant) -> list[float]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            bundle = Path(name) / "bundle"
            write_variant(self._options.bundle, self._manifest, variant, self._calibrations, bundle)
            return self._errors_of(bundle)

    def _errors_of(self, bundle: Path) -> list[float]:
        return [
            relative_error(
                run_transformer(bundle / spec.file, self._record.inputs[spec.stage]), self._expected[spec.stage]
            )
            for spec in self._specs
        ]

    def _calibrate(self) -> dict[str, Calibration]:
        checkpoint = open_checkpoint(self._options.bundle / "checkpoint")
        pairs = []
        for index in range(self._options.pairs):
            spec = sample_spec(_CALIBRATION_SEED + index, held_out=False)
            sentence = caption(spec, LANGUAGES[index % len(LANGUAGES)], index)
            pairs.append(Pair(render_clip(spec).frames[: self._geometry.frame_count], sentence))
        out = self._folder / "calibration"
        measured = calibrate(checkpoint, out, pairs, self._geometry, shift=self._manifest.schedule.shift)
        return {component: load_calibration(out, component, item.digest) for component, item in measured.items()}


def _asked(index: int) -> Asked:
    spec = sample_spec(_CLIP_SEED + index, held_out=True)
    return Asked(render_clip(spec).frames[0], caption(spec, LANGUAGES[index % len(LANGUAGES)], index), index)


def _shapes(folder: Path) -> list[tuple[int, ...]]:
    from export.weights.shards import Shards

    shards = Shards.open(folder)
    return [shards.shape(name) for name in shards.names()]


def _write_json(file: Path, content: dict[str, Any]) -> None:
    import json

    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
