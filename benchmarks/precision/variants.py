"""Writes variants of a bundle whose transformers are quantised by a recipe.

Rewrites the bundle's own graphs; the weights come from the checkpoint inside the bundle.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch

from benchmarks.precision.half import round_results
from engine.bundle.folder import MANIFEST_NAME, file_sha256
from engine.bundle.graph_spec import GraphSpec, Precision
from engine.bundle.manifest import FileSpec, Manifest
from export.attention import spell_out
from export.quantise.attention import AttentionRanges
from export.quantise.calibration import Calibration
from export.quantise.encodings import Encoding, PassThrough
from export.quantise.recipes import recipe_for
from export.quantise.rewrite import quantise_graph
from export.quantise.rewrite_attention import quantise_attention
from export.quantise.stored import QuantisedWeights
from export.quantise.writer import write_tensors
from export.weights.shards import Shards

COMPONENTS = {"transformer_high": "transformer", "transformer_low": "transformer_2", "transformer": "transformer"}
_HALVES = {torch.float16: ir.DataType.FLOAT16, torch.bfloat16: ir.DataType.BFLOAT16}


@dataclass(frozen=True)
class Variant:
    """A recipe to measure.

    ``only`` is a pattern that limits quantisation to matching weights; without ``with_moments`` INT4 is rounded to
    nearest; without ``with_halves`` the rest of the graph stays in float32, which isolates the quantised weights;
    ``with_attention`` puts self-attention into FP8.
    """

    name: str
    precision: Precision
    with_moments: bool = True
    with_halves: bool = True
    only: str | None = None
    with_attention: bool = False


def transformer_specs(manifest: Manifest) -> list[GraphSpec]:
    """Returns the transformers' graphs at the bundle's first size."""
    first = manifest.geometries[0]
    wanted = (first.width_px, first.height_px, first.frame_count)
    return [
        spec
        for spec in manifest.graphs
        if spec.stage in COMPONENTS and (spec.width_px, spec.height_px, spec.frame_count) == wanted
    ]


def write_variant(
    bundle: Path, manifest: Manifest, variant: Variant, calibrations: Mapping[str, Calibration], out: Path
) -> int:
    """Writes the variant's bundle into the new folder ``out``; returns the bytes of its transformers' weights."""
    shutil.copytree(bundle, out)
    files = dict(manifest.files)
    byte_count = 0
    for spec in transformer_specs(manifest):
        component = COMPONENTS[spec.stage]
        weights = out / "weights" / f"{component}.{variant.name}.safetensors"
        source = Shards.open(out / "checkpoint" / component)
        write_tensors(source, _encodings(source, variant, calibrations[component]), weights)
        byte_count += weights.stat().st_size
        attention = calibrations[component].attention if variant.with_attention else {}
        _rewrite(out / spec.file, QuantisedWeights.open(weights), variant, attention)
        for file in (weights, out / spec.file):
            name = file.relative_to(out).as_posix()
            files[name] = FileSpec(sha256=file_sha256(file), byte_count=file.stat().st_size)
    changed = manifest.with_changes(files=files)
    (out / MANIFEST_NAME).write_text(changed.to_json(), encoding="utf-8")
    return byte_count


def _encodings(source: Shards, variant: Variant, calibration: Calibration) -> dict[str, Encoding]:
    if not variant.with_moments:
        calibration = Calibration(calibration.digest, calibration.sample_count, calibration.ranges)
    recipe = recipe_for("transformer", variant.precision)
    encodings = recipe.encodings(source, calibration)
    if variant.only is not None:
        kept = PassThrough(recipe.dtype)
        encodings = {name: item if re.search(variant.only, name) else kept for name, item in encodings.items()}
    return encodings


def _rewrite(file: Path, weights: QuantisedWeights, variant: Variant, attention: Mapping[str, AttentionRanges]) -> None:
    model = ir.load(file)
    spell_out(model)  # as it is compiled: every result inside is rounded to half precision
    if attention:
        quantise_attention(model, attention)
    names = {initializer: _parameter(initializer, weights) for initializer in model.graph.initializers}
    quantised = {
        initializer: weights.quantised[parameter]
        for initializer, parameter in names.items()
        if parameter in weights.quantised
    }
    if len(quantised) != len(weights.quantised):
        raise SystemExit(f"{file}: the graph reads {len(quantised)} of {len(weights.quantised)} quantised weights")
    quantise_graph(model, quantised, file.parent)
    dtype = recipe_for("transformer", variant.precision).dtype
    if variant.with_halves and dtype in _HALVES:
        round_results(model, _HALVES[dtype])
    ir.save(model, file)


def _parameter(initializer: str, weights: QuantisedWeights) -> str:
    """Returns the checkpoint's name of an initializer; older exporters put ``model.`` before and ``.stored`` after."""
    name = initializer.removesuffix(".stored")
    return next((known for known in (name, name.removeprefix("model.")) if known in weights.quantised), name)
