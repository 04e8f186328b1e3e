"""``python -m export.quantise.calibrate CHECKPOINT --out FOLDER``: measures the inputs of the transformers' linears.

INT8 and FP8 need the ranges; INT4 is nearly twice as exact with the moments. Works for checkpoints that are larger
than memory (``observe``). The size may be far below the served one: the inputs of a linear depend little on the number
of tokens.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.api.capabilities import Family, Geometry
from export.errors import ExportError
from export.library_logging import hide_progress_bars, quiet_libraries
from export.options import (
    AdapterOption,
    adapter_options,
    add_adapter_options,
    add_component_options,
    component_options,
    parse_size_option,
)
from export.quantise.calibration import Calibration, calibration_digest, save_calibration
from export.quantise.observe import observe
from export.quantise.samples import Pair, TransformerSamples, generated_pairs, read_pairs
from export.weights.checkpoint import Checkpoint
from export.weights.layouts.opening import open_checkpoint
from export.weights.lora import Adapter, FusedWeights, open_adapters, placement_notes
from export.weights.serving_defaults import FAMILY_DEFAULTS


def calibrate(
    checkpoint: Checkpoint,
    out: Path,
    pairs: Sequence[Pair],
    geometry: Geometry,
    *,
    samples_per_pair: int = 4,
    shift: float | None = None,
    adapters: Mapping[str, Sequence[Adapter]] | None = None,
) -> dict[str, Calibration]:
    """Calibrates every transformer of a checkpoint and writes ``out/COMPONENT.json`` and ``.safetensors``.

    ``geometry`` is the size of the samples; ``adapters`` are by component. Raises ``ExportError``.
    """
    defaults = FAMILY_DEFAULTS[checkpoint.family]
    shift = shift or checkpoint.shift
    samples = TransformerSamples(checkpoint, pairs, geometry)
    checkpoint_digest = checkpoint.digest()
    calibrations = {}
    for component in checkpoint.transformer_names:
        own = (adapters or {}).get(component, ())
        source = FusedWeights(checkpoint.shards(component), own)
        drawn = samples.for_component(component, defaults.step_count, shift, samples_per_pair)
        with quiet_libraries():
            observed = observe(checkpoint.transformer(component), source, drawn)
        digest = calibration_digest(checkpoint_digest, [(adapter.digest, adapter.strength) for adapter in own])
        calibration = Calibration(
            digest, observed.call_count, observed.ranges, observed.shared, attention=observed.attention
        )
        save_calibration(out, component, calibration, observed.moments)
        calibrations[component] = calibration
    return calibrations


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns 0, or 1 for a refused or failed calibration."""
    parser = argparse.ArgumentParser(prog="python -m export.quantise.calibrate", description=__doc__)
    add_component_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the measurements")
    parser.add_argument("--pairs", type=Path, help="JSON lines with picture and sentence (default: generated pairs)")
    parser.add_argument("--size", default="256x256", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--frames", type=int, default=17, help="frame count, 4n + 1")
    parser.add_argument("--samples", type=int, default=4, help="noise levels for each pair")
    parser.add_argument("--shift", type=float, help="shift of the schedule (default: the checkpoint's)")
    add_adapter_options(parser)
    options = parser.parse_args(arguments)
    hide_progress_bars()
    try:
        geometry = _geometry(options.size, options.frames)
        checkpoint = open_checkpoint(options.checkpoint, component_options(options))
        adapters = {
            component: open_adapters(given, _shapes(checkpoint, component), component=component)
            for component, given in adapter_options(options).items()
        }
        for note in _notes(adapters, checkpoint.family, adapter_options(options)):
            print(note)  # noqa: T201
        pairs = generated_pairs(geometry) if options.pairs is None else read_pairs(options.pairs, geometry)
        found = calibrate(
            checkpoint,
            options.out,
            pairs,
            geometry,
            samples_per_pair=options.samples,
            shift=options.shift,
            adapters=adapters,
        )
    except ExportError as error:
        print(f"calibrate: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for component, calibration in found.items():
        print(f"{component}: {len(calibration.ranges)} linears, {calibration.sample_count} samples")  # noqa: T201
    return 0


def _geometry(size: str, frame_count: int) -> Geometry:
    try:
        width_px, height_px = parse_size_option(size)
        if frame_count % 4 != 1 or frame_count < 1:
            raise ValueError(frame_count)
    except ValueError as error:
        raise ExportError("--size must be WIDTHxHEIGHT and --frames 4n + 1, for example 256x256 and 17") from error
    return Geometry(width_px, height_px, frame_count)


def _notes(
    adapters: Mapping[str, Sequence[Adapter]], family: Family, options: Mapping[str, Sequence[AdapterOption]]
) -> list[str]:
    """Notes on the adapters: the lines that an export with the same options prints."""
    return [
        note
        for component, opened in adapters.items()
        for note in (
            *placement_notes(options, component, family),
            *(note for adapter in opened for note in adapter.notes),
        )
    ]


def _shapes(checkpoint: Checkpoint, component: str) -> dict[str, tuple[int, ...]]:
    if component not in checkpoint.components:
        raise ExportError("--lora-low: this family has one transformer; give --lora-high alone")
    shards = checkpoint.shards(component)
    return {name: shards.shape(name) for name in shards.names()}


if __name__ == "__main__":
    sys.exit(main())
