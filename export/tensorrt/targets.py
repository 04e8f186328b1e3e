"""The GPUs that engines are compiled for. A further GPU is a further row of ``TARGETS``.

Sources: NVIDIA's CUDA GPU list for compute capabilities, data sheets for memory, and TensorRT for RTX's support matrix
for the precisions of a generation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.bundle.graph_spec import Precision
from export.errors import ExportError

_GIB = 1024**3
_FIRST_WITH_FP8 = 89  # Ada
_FIRST_WITH_BF16 = 80  # Ampere


@dataclass(frozen=True, slots=True)
class Target:
    """A GPU: its name on the command line, its compute capability such as ``sm_86``, and its memory in bytes."""

    name: str
    compute_capability: str
    memory_bytes: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"sm_[0-9]+", self.compute_capability):
            raise ValueError(f"compute capability {self.compute_capability!r} is not of the form sm_86")

    @property
    def precisions(self) -> frozenset[Precision]:
        """Precisions that the tensor cores of this generation compute in, or that its kernels unpack.

        The compiler takes INT8 products and does not fuse them: whether they are fast is not known (docs/precision.md).
        """
        number = int(self.compute_capability.removeprefix("sm_"))
        every: set[Precision] = {"fp32", "fp16", "int8", "int4"}
        if number >= _FIRST_WITH_BF16:
            every.add("bf16")
        if number >= _FIRST_WITH_FP8:
            every.add("fp8")
        return frozenset(every)


TARGETS = (
    Target("rtx3090", "sm_86", 24 * _GIB),
    Target("rtx4090", "sm_89", 24 * _GIB),
)


def find_target(name: str) -> Target:
    """The target of a name, as ``--gpu`` takes it. Raises ``ExportError`` naming the known ones."""
    for target in TARGETS:
        if target.name == name:
            return target
    raise ExportError(f"--gpu {name}: unknown; give one of {', '.join(target.name for target in TARGETS)}")


def check_precision(precision: Precision, target: Target, graph_name: str) -> None:
    """Refuses a precision that the GPU does not have, before the compiler runs. Raises ``ExportError``."""
    if precision in target.precisions:
        return
    able = ", ".join(item for item in ("int8", "int4", "fp16") if item in target.precisions)
    raise ExportError(
        f"--gpu {target.name}: {graph_name} computes in {precision}, which {target.compute_capability} does not have; "
        f"take --precision {able} for this GPU, or leave it out"
    )
