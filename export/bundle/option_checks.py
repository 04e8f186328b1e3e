"""Checks of an export plan's options that read no weights. Each refusal names the option and the remedy."""

from __future__ import annotations

import itertools
from pathlib import Path

from engine.api.capabilities import Family, Geometry, Limits
from engine.bundle.folder import MANIFEST_NAME
from engine.preparation.rules import MAX_FRAME_RATE, MAX_GUIDANCE_SCALE, MAX_SHIFT, MIN_SHIFT
from export.bundle.build_log import BUILD_LOG_NAME
from export.bundle.plan import ExportPlan
from export.bundle.resource_estimate import free_disk_bytes
from export.errors import ExportError
from export.quantise.recipes import recipe_for
from export.tensorrt.targets import check_precision
from export.weights.checkpoint import Checkpoint
from export.weights.files.recognition import read_head
from export.weights.serving_defaults import ServingDefaults

_MIN_FREE_BYTES = 64 * 1024 * 1024
# Pixels of one transformer token: the VAE's stride times a patch of two latent cells.
_SIZE_MULTIPLE_PX = {Family.WAN22_I2V_A14B: 16, Family.WAN22_TI2V_5B: 32}


def check_options(plan: ExportPlan) -> None:
    """Refuses options that cannot be exported or do not go together. Raises ``ExportError``; writes nothing."""
    for geometry in plan.geometries:
        _check_geometry(geometry, _SIZE_MULTIPLE_PX[plan.checkpoint.family])
    _check_defaults(plan.defaults, plan.checkpoint.family)
    if plan.scorer is not None and not (plan.scorer / "config.json").is_file():
        raise ExportError(f"--scorer {plan.scorer}: holds no config.json; give a SigLIP folder")
    _check_precision(plan)
    _check_groups(plan)
    _check_adapters(plan)
    _check_out(plan)


def _check_geometry(geometry: Geometry, multiple_px: int) -> None:
    sides = (geometry.width_px, geometry.height_px)
    if min(sides) < 1 or any(side % multiple_px for side in sides):
        raise ExportError(
            f"--size {geometry.width_px}x{geometry.height_px}: width and height must be multiples of {multiple_px} "
            "for this family"
        )
    if geometry.frame_count < 1 or geometry.frame_count % 4 != 1:
        raise ExportError(f"--frames {geometry.frame_count}: must be 4n + 1, for example 17 or 81")


def _check_defaults(defaults: ServingDefaults, family: Family) -> None:
    """Applies the engine's limits on requests, so that a request which takes every default can run."""
    if family is Family.WAN22_TI2V_5B and defaults.guidance_scale_low_noise is not None:
        raise ExportError("--guidance-low-noise: this family has one transformer; leave it out")
    ranges: dict[str, tuple[float | None, float, float]] = {
        "--steps": (defaults.step_count, 1, Limits().max_step_count),
        "--guidance": (defaults.guidance_scale, 1, MAX_GUIDANCE_SCALE),
        "--guidance-low-noise": (defaults.guidance_scale_low_noise, 1, MAX_GUIDANCE_SCALE),
        "--shift": (defaults.shift, MIN_SHIFT, MAX_SHIFT),
        "--frame-rate": (defaults.frame_rate, 1, MAX_FRAME_RATE),
    }
    for option, (value, lowest, highest) in ranges.items():
        if value is not None and not lowest <= value <= highest:  # refuses NaN too
            raise ExportError(f"{option} {value:g}: must be from {lowest:g} to {highest:g}")


def _check_precision(plan: ExportPlan) -> None:
    if plan.is_plans_only and not plan.targets:
        raise ExportError("--plans-only: keeps TensorRT engines alone; name the GPUs that they are for with --gpu")
    for target in plan.targets:
        check_precision(plan.precision_of("transformer"), target, "the transformer")
    needs_ranges = plan.precision_of("transformer") in {"int8", "fp8"}
    if needs_ranges and plan.calibration is None:
        raise ExportError(
            f"--precision {plan.precision}: the inputs of linear layers are quantised too, and their ranges must be "
            "measured; run `python -m export.quantise.calibrate` and give its folder as --calibration, or take int4"
        )
    if plan.attention == "fp8" and recipe_for("transformer", plan.precision_of("transformer")).attention is None:
        raise ExportError(
            f"--attention fp8: is a part of --precision fp8, not of {plan.precision_of('transformer')}; give "
            "--precision fp8, or leave it out"
        )


def _check_groups(plan: ExportPlan) -> None:
    if plan.block_group_count is not None and not plan.targets:
        raise ExportError(
            f"--groups {plan.block_group_count}: says how transformers are compiled, and nothing is compiled without "
            "--gpu; give --gpu too, or leave it out"
        )


def _check_adapters(plan: ExportPlan) -> None:
    if "transformer_2" in plan.adapters and plan.checkpoint.family is Family.WAN22_TI2V_5B:
        raise ExportError("--lora-low: this family has one transformer; give --lora-high alone")
    for choice in itertools.chain.from_iterable(plan.adapters.values()):
        if choice.file.is_symlink() or choice.file.exists():
            read_head(choice.file)  # a folder or a link to nothing is told as such
        else:
            raise ExportError(f"adapter {choice.file}: no such file; give a LoRA in safetensors")
    if plan.distilled is not None and not plan.adapters:
        raise ExportError("--distilled: describes adapters for few steps; give the adapters with --lora-high")


def _check_out(plan: ExportPlan) -> None:
    out = plan.out
    if out.exists() and not out.is_dir():
        raise ExportError(f"--out {out}: is a file; give a folder")
    if out.is_dir() and any(out.iterdir()):
        is_bundle = (  # whole or interrupted
            any((out / name).is_file() for name in (MANIFEST_NAME, BUILD_LOG_NAME)) or any(out.glob("*.onnx"))
        )
        if not is_bundle and not _is_inside(plan.checkpoint, out):
            raise ExportError(f"--out {out}: is not empty and holds no bundle; give another folder")
    free = free_disk_bytes(out)
    if free < _MIN_FREE_BYTES:
        raise ExportError(
            f"--out {out}: only {free} bytes are free on that disk; free some space or give another folder"
        )


def _is_inside(checkpoint: Checkpoint, out: Path) -> bool:
    """True if the checkpoint, or a part of it, lies in the bundle's folder, to be referenced in place."""
    places = (
        [part.path for part in checkpoint.components.values()] if checkpoint.folder is None else [checkpoint.folder]
    )
    return any(place.resolve().is_relative_to(out.resolve()) for place in places)
