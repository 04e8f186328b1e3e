"""Request to the compiling process and its answer, exchanged as two JSON files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildRequest(_Part):
    """One engine to compile. ``axes`` are shortest, tuned and longest length by the axis' name."""

    graph_file: str
    engine_file: str
    compute_capability: str
    module_name: str
    axes: dict[str, tuple[int, int, int]]


class BuildAnswer(_Part):
    """Either ``error``, a message to print, or the figures of the written engine."""

    error: str | None = None
    compiler_version: str = ""
    activation_bytes: int = 0
    weight_bytes: int = 0
    build_seconds: float = 0.0
    host_peak_bytes: int = 0
