"""What the process that compiles is told and what it answers. Plain data, through two JSON files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildRequest(_Part):
    """``axes`` are lowest, tuned and highest length by the axis' name; ``plan_file`` is written by the process."""

    graph_file: str
    plan_file: str
    compute_capability: str
    module_name: str
    axes: dict[str, tuple[int, int, int]]


class BuildAnswer(_Part):
    """Either ``error``, for a person to read, or the figures of a plan that was written."""

    error: str | None = None
    compiler_version: str = ""
    activation_bytes: int = 0
    weight_bytes: int = 0
    build_seconds: float = 0.0
    host_peak_bytes: int = 0
