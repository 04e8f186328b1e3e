"""What a checkpoint states beside its weights: scheduler, boundary of the experts, conditioning by expanded timesteps.

Diffusers folders state these in ``model_index.json`` and ``scheduler/scheduler_config.json``. Other layouts leave them
out; the family's own values are those of ``wan/configs/wan_i2v_A14B.py`` and ``wan_ti2v_5B.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.capabilities import Family
from export.errors import ExportError
from export.weights.configuration import read_json

_INDEX = "model_index.json"
_WANTED = "give Wan2.2-I2V-A14B or Wan2.2-TI2V-5B"
_SCHEDULER = "give the scheduler of the Wan2.2 checkpoint"
_PIPELINES = ("WanImageToVideoPipeline", "WanPipeline")
# Values that the engine computes with; a scheduler may leave them out.
_REQUIRED: Mapping[str, Any] = {
    "_class_name": "UniPCMultistepScheduler",
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "predict_x0": True,
    "solver_type": "bh2",
    "lower_order_final": True,
    "final_sigmas_type": "zero",
    "use_dynamic_shifting": False,
    "disable_corrector": [],
    "thresholding": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "solver_p": None,
    "rescale_betas_zero_snr": False,
    "sigma_min": None,
    "sigma_max": None,
    "shift_terminal": None,
}
# Keys without effect where ``use_flow_sigmas`` is set, and keys that are read below.
_WITHOUT_EFFECT = {
    "_diffusers_version",
    "beta_end",
    "beta_schedule",
    "beta_start",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "steps_offset",
    "time_shift_type",
    "timestep_spacing",
    "trained_betas",
}
_READ = {"flow_shift", "num_train_timesteps", "solver_order"}
_TRAIN_STEP_COUNT = 1000


@dataclass(frozen=True)
class PipelineSettings:
    """Settings of a family. ``boundary_ratio`` is the lowest noise level of the high-noise expert, in 0..1."""

    family: Family
    expand_timesteps: bool
    boundary_ratio: float | None
    shift: float
    solver_order: int = 2
    train_step_count: int = _TRAIN_STEP_COUNT

    @property
    def boundary_timestep(self) -> float | None:
        """The lowest timestep of the high-noise expert; None with one transformer."""
        return None if self.boundary_ratio is None else self.boundary_ratio * self.train_step_count

    def described(self) -> str:
        """The settings for the plan that a dry run prints."""
        boundary = "one transformer" if self.boundary_ratio is None else f"boundary {self.boundary_ratio:g}"
        return f"UniPC of order {self.solver_order}, shift {self.shift:g}, {boundary}"


FAMILY_SETTINGS: Mapping[Family, PipelineSettings] = {
    Family.WAN22_I2V_A14B: PipelineSettings(Family.WAN22_I2V_A14B, False, 0.9, 5.0),
    Family.WAN22_TI2V_5B: PipelineSettings(Family.WAN22_TI2V_5B, True, None, 5.0),
}


def read_settings(folder: Path, index: Mapping[str, Any]) -> PipelineSettings:
    """The settings of a Diffusers folder. Raises ``ExportError`` for what the engine cannot run."""
    if index.get("_class_name") not in _PIPELINES:
        raise ExportError(
            f"{folder / _INDEX} names {str(index.get('_class_name'))[:50]}, not {' or '.join(_PIPELINES)}; {_WANTED}"
        )
    family, expand_timesteps, boundary = _family(folder, index)
    file = folder / "scheduler" / "scheduler_config.json"
    scheduler = read_json(file, "download the scheduler again")
    for key, value in _REQUIRED.items():
        if scheduler.get(key, value) != value:
            raise ExportError(f"{file} has {key} {_short(scheduler[key])}; only {value!r} is supported: {_SCHEDULER}")
    unknown = sorted(scheduler.keys() - _REQUIRED.keys() - _WITHOUT_EFFECT - _READ)
    if unknown:
        raise ExportError(
            f"{file} has {unknown[0][:50]} {_short(scheduler[unknown[0]])}, which the engine does not know; "
            f"{_SCHEDULER}"
        )
    order = scheduler.get("solver_order", 2)
    if order not in (1, 2, 3) or not isinstance(order, int) or isinstance(order, bool):
        raise ExportError(f"{file} has solver_order {_short(order)}; 1, 2 or 3 are supported: {_SCHEDULER}")
    return PipelineSettings(
        family,
        expand_timesteps,
        boundary,
        shift=_number(file, "flow_shift", scheduler.get("flow_shift", 1.0), 0.01, 100),
        solver_order=order,
        train_step_count=int(_number(file, "num_train_timesteps", scheduler.get("num_train_timesteps", 1000), 2, 1e6)),
    )


def _family(folder: Path, index: Mapping[str, Any]) -> tuple[Family, bool, float | None]:
    has_two = _has(index, "transformer_2")
    ratio = index.get("boundary_ratio")
    if index.get("expand_timesteps") and not has_two:
        return Family.WAN22_TI2V_5B, True, None
    if has_two and ratio is not None:
        return (
            Family.WAN22_I2V_A14B,
            bool(index.get("expand_timesteps")),
            _number(folder / _INDEX, "boundary_ratio", ratio, 0.0, 1.0),
        )
    if _has(index, "image_encoder"):
        raise ExportError(
            f"{folder / _INDEX} is that of Wan2.1 image-to-video, which has a CLIP image encoder; {_WANTED}"
        )
    if not has_two and index["_class_name"] == "WanPipeline":
        raise ExportError(f"{folder / _INDEX} is that of text-to-video, which takes no picture; {_WANTED}")
    raise ExportError(
        f"{folder / _INDEX} is of neither family: Wan2.2-I2V-A14B has transformer_2 and boundary_ratio, "
        f"Wan2.2-TI2V-5B has expand_timesteps and one transformer; {_WANTED}"
    )


def _has(index: Mapping[str, Any], component: str) -> bool:
    entry = index.get(component)
    return isinstance(entry, list) and bool(entry) and entry[0] is not None


def _short(value: object) -> str:
    return repr(value)[:50]


def _number(file: Path, key: str, value: Any, lowest: float, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise ExportError(f"{file} has {key} {_short(value)}; it must be a number from {lowest:g} to {highest:g}")
    return float(value)
