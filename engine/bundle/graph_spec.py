"""Manifest entries of graphs: names, tensors, precisions, compiled plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from engine.api.capabilities import Geometry
from engine.bundle.manifest_part import ManifestPart

GraphName = Literal[
    "text_encoder",
    "vae_encoder_init",
    "vae_encoder_step",
    "transformer",
    "transformer_high",
    "transformer_low",
    "guide_and_step",
    "vae_decoder_init",
    "vae_decoder_step",
    "scorer_image",
    "scorer_text",
]
# int8, fp8 and int4 name the storage of the quantised linears; all other layers are half precision.
Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8", "int4"]
TensorDtype = Literal["float32", "float16", "bfloat16", "int64"]
DTYPE_BYTES: Mapping[TensorDtype, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "int64": 8}


class TensorSpec(ManifestPart, frozen=True, kw_only=True):
    """An input or output of a graph. An axis that is a name instead of a number may have any length."""

    name: str
    dtype: TensorDtype
    shape: tuple[int | str, ...]


class EnginePart(ManifestPart, frozen=True, kw_only=True):
    """The plan of a group of a graph's blocks. Bytes are as in ``EngineSpec``.

    An input or output that the graph does not have crosses between parts: one part computes it, later ones read it.
    """

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    activation_bytes: Annotated[int, Meta(ge=0)]
    weight_bytes: Annotated[int, Meta(ge=0)]
    plan_bytes: Annotated[int, Meta(ge=0)]


class EngineSpec(ManifestPart, frozen=True, kw_only=True, omit_defaults=True):
    """A graph compiled for one kind of GPU, with the compiler's figures.

    ``activation_bytes`` is the scratch memory of a call, ``weight_bytes`` the memory that the loaded plan takes on the
    GPU, ``plan_bytes`` the size of the file; ``host_peak_bytes`` and ``build_seconds`` are what the build took.
    ``compiler`` is the module's name, for example ``tensorrt_rtx``.

    Where the graph was too large for one plan, ``parts`` are the plans of its groups of blocks, in the order in which
    they run; ``file`` is then that of the first, and bytes are sums over the parts, or those of the largest call.
    """

    file: str
    compute_capability: Annotated[str, Meta(pattern=r"^sm_[0-9]+$")]
    compiler: str
    compiler_version: str
    activation_bytes: Annotated[int, Meta(ge=0)]
    weight_bytes: Annotated[int, Meta(ge=0)]
    plan_bytes: Annotated[int, Meta(ge=0)]
    build_seconds: Annotated[float, Meta(ge=0)]
    host_peak_bytes: Annotated[int, Meta(ge=0)]
    parts: tuple[EnginePart, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all plans."""
        return tuple(part.file for part in self.parts) or (self.file,)


class GraphSpec(ManifestPart, frozen=True, kw_only=True):
    """One graph. ``width_px``, ``height_px`` and ``frame_count`` are None if the graph does not depend on them.

    ``stage`` is the graph's name. ``max_abs_error`` is the largest difference to torch over all outputs, measured at
    export, and ``max_abs_value`` the largest absolute value of those outputs; both are None if the component was too
    large to run beside torch.
    """

    stage: GraphName
    file: str
    width_px: int | None = None
    height_px: int | None = None
    frame_count: int | None = None
    precision: Precision = "fp32"
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float | None
    max_abs_value: float | None
    engines: tuple[EngineSpec, ...] = ()

    def serves(self, geometry: Geometry) -> bool:
        """True if the graph can be used for a geometry."""
        wanted = (geometry.width_px, geometry.height_px, geometry.frame_count)
        return all(own in (None, other) for own, other in zip(self._geometry, wanted, strict=True))

    def engine(self, compute_capability: str) -> EngineSpec | None:
        """The compiled plan for a GPU, for example ``sm_86``; None if the graph was not compiled for it."""
        return next((item for item in self.engines if item.compute_capability == compute_capability), None)

    def of_part(self, engine: EngineSpec, part: EnginePart) -> GraphSpec:
        """The entry that a part of one of the graph's engines would have as a graph of its own."""
        own = engine.with_changes(
            file=part.file,
            activation_bytes=part.activation_bytes,
            weight_bytes=part.weight_bytes,
            plan_bytes=part.plan_bytes,
            parts=(),
        )
        return self.with_changes(file=part.file, inputs=part.inputs, outputs=part.outputs, engines=(own,))

    @property
    def _geometry(self) -> tuple[int | None, int | None, int | None]:
        return self.width_px, self.height_px, self.frame_count
