"""The export plan: everything that an export is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import Precision
from engine.bundle.manifest import DistilledSpec
from export.options import AdapterOption, AttentionOption, PrecisionOption, VerifyOption
from export.tensorrt import Target
from export.weights.checkpoint import Checkpoint
from export.weights.serving_defaults import ServingDefaults


@dataclass(frozen=True)
class ExportPlan:
    """The checkpoint, the output folder, the geometries, and the options of the command line.

    ``adapters`` are by the transformer's folder name, in the order in which they are fused; ``calibration`` is the
    folder that ``export.quantise.calibrate`` wrote; ``compiler`` is the name of the module that compiles engines for
    ``targets``. ``is_plans_only`` leaves graphs and their weights out of the bundle. Each transformer is compiled as
    ``block_group_count`` plans; None: as few as the memory of this machine allows.
    """

    checkpoint: Checkpoint
    out: Path
    geometries: tuple[Geometry, ...]
    defaults: ServingDefaults
    name: str
    scorer: Path | None = None
    notices: tuple[str, ...] = ()
    precision: PrecisionOption = "auto"
    verify: VerifyOption = "auto"
    targets: tuple[Target, ...] = ()
    compiler: str = "tensorrt_rtx"
    adapters: Mapping[str, tuple[AdapterOption, ...]] = field(default_factory=dict)
    calibration: Path | None = None
    attention: AttentionOption = "auto"
    distilled: DistilledSpec | None = None
    is_plans_only: bool = False
    block_group_count: int | None = None

    def precision_of(self, component: str) -> Precision:
        """The precision of a component, by its folder name.

        ``auto`` is float32 without a target, where ONNX Runtime serves. With a target it is what fits 24 GB: both
        experts in four bits, the text encoder's weights in eight, the VAE in float16, which no recipe quantises.
        """
        if self.precision == "auto" and not self.targets:
            return "fp32"
        chosen: Precision = "int4" if self.precision == "auto" else self.precision
        if chosen == "fp32" or component.startswith("transformer"):
            return chosen
        if component == "vae":
            return "fp16"
        return chosen if chosen in {"fp16", "bf16"} else "int8"
