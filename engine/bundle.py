"""The manifest: what a bundle folder holds and how to run it. Knows files and digests; knows no runtime.

The exporter writes it, the engine reads it. Everything that the engine must know about a checkpoint stands here, so
that it never looks at a model's own configuration.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BundleInvalid
from engine.types import Family, Geometry

MANIFEST_NAME = "bundle.json"
FORMAT_VERSION: Literal[1] = 1

StageName = Literal[
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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Part):
    """An input or output of a graph; an axis given by name may have any length."""

    name: str
    dtype: Literal["float32", "float16", "int64"]
    shape: tuple[int | str, ...]


class GraphSpec(_Part):
    """One graph. ``width_px``, ``height_px`` and ``frame_count`` are None where the graph does not depend on them.

    ``max_abs_error`` is the largest difference to torch that was measured when the graph was exported, over all
    outputs, and ``max_abs_value`` the largest absolute value of those outputs.
    """

    stage: StageName
    file: str
    width_px: int | None = None
    height_px: int | None = None
    frame_count: int | None = None
    precision: Literal["fp32"] = "fp32"
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float
    max_abs_value: float

    def serves(self, geometry: Geometry) -> bool:
        """Whether the graph can be used for a geometry."""
        wanted = (geometry.width_px, geometry.height_px, geometry.frame_count)
        return all(own in (None, other) for own, other in zip(self._geometry, wanted, strict=True))

    @property
    def _geometry(self) -> tuple[int | None, int | None, int | None]:
        return self.width_px, self.height_px, self.frame_count


class FileSpec(_Part):
    """A file of the bundle, by its path from the bundle's folder."""

    sha256: str
    byte_count: int


class GeometrySpec(_Part):
    """A size and length that was compiled."""

    width_px: int
    height_px: int
    frame_count: int


class LatentSpec(_Part):
    """Shape of latents: channels, and pixels or frames for each latent cell."""

    channel_count: int
    spatial_stride: int
    temporal_stride: int


class ScheduleSpec(_Part):
    """Solver and schedule; ``boundary_timestep`` None means one transformer."""

    solver: Literal["unipc"] = "unipc"
    order: int = Field(ge=1, le=3)
    shift: float
    step_count: int
    train_step_count: int
    boundary_timestep: float | None


class GuidanceSpec(_Part):
    """Guidance defaults; ``low_noise_scale`` is None for models with one transformer."""

    scale: float
    low_noise_scale: float | None
    negative_prompt: str


class TokenizerSpec(_Part):
    """How text becomes ids. ``file`` is in the format of the ``tokenizers`` library."""

    file: str
    length: int
    pad_id: int
    pad_side: Literal["left", "right"]
    lower_case: bool


class PreviewSpec(_Part):
    """Least-squares projection of one latent cell to RGB in 0..1: ``matrix`` [channels][3] and ``bias`` [3].

    ``r_squared`` is the share of variance explained on pictures that the fit did not see.
    """

    matrix: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]
    r_squared: float


class ScorerSpec(_Part):
    """The scorer. z = exp(``logit_scale_log``) · cosine + ``logit_bias``; score = 100 · sigmoid(slope · m + offset).

    m is z less the logarithm of the mean of e^z over the contrast sentences, whose embeddings are ``contrast_file``,
    [sentences, size] float32 in numpy's format. ``resample`` is Pillow's number.
    """

    tokenizer: TokenizerSpec
    image_size_px: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logit_scale_log: float
    logit_bias: float
    contrast_file: str
    slope: float = 1.0
    offset: float = 0.0
    is_calibrated: bool = False


class Manifest(_Part):
    """``bundle.json``."""

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    family: Family
    license: str
    checkpoint_digest: str
    exported_with: dict[str, str]
    geometries: tuple[GeometrySpec, ...] = Field(min_length=1)
    frame_rate: float
    expand_timesteps: bool
    latent: LatentSpec
    schedule: ScheduleSpec
    guidance: GuidanceSpec
    tokenizer: TokenizerSpec
    preview: PreviewSpec
    scorer: ScorerSpec | None
    graphs: tuple[GraphSpec, ...]
    files: dict[str, FileSpec]
    notices: tuple[str, ...] = ()

    def graph(self, stage: StageName, geometry: Geometry) -> GraphSpec:
        """The graph of a stage for a geometry. Raises ``BundleInvalid`` where the bundle lacks it."""
        for spec in self.graphs:
            if spec.stage == stage and spec.serves(geometry):
                return spec
        size = f"{geometry.width_px}x{geometry.height_px}, {geometry.frame_count} frames"
        raise BundleInvalid(f"the bundle lists {size} but holds no {stage} graph for it; export it again")


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Reads ``bundle.json`` and checks every file against it. Returns the manifest and its own SHA-256.

    Raises ``BundleInvalid``, naming the file, the fault and the remedy.
    """
    path = folder / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleInvalid(
            f"cannot read {path}: {error.strerror}; give the folder that `python -m export` wrote"
        ) from error
    manifest = _parse(path, content)
    for name in _named_files(manifest):
        if name not in manifest.files:
            raise BundleInvalid(f"{path} names {name} but not its digest; export the checkpoint again")
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing releases the interpreter
        list(pool.map(lambda item: _check_file(folder, *item), manifest.files.items()))
    return manifest, hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _named_files(manifest: Manifest) -> Iterator[str]:
    """Files that the engine opens by name; weights are opened by the graphs."""
    yield from (graph.file for graph in manifest.graphs)
    yield manifest.tokenizer.file
    if manifest.scorer is not None:
        yield manifest.scorer.tokenizer.file
        yield manifest.scorer.contrast_file


def _parse(path: Path, content: bytes) -> Manifest:
    try:
        version = json.loads(content).get("format_version")
        if version != FORMAT_VERSION:
            raise BundleInvalid(
                f"{path} has format version {version}, this server reads {FORMAT_VERSION}; export the checkpoint again"
            )
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleInvalid(
            f"{path} is not a manifest: {where}: {first['msg']}; export the checkpoint again"
        ) from error
    except (ValueError, AttributeError) as error:
        raise BundleInvalid(f"{path} is not JSON; export the checkpoint again") from error


def _check_file(folder: Path, name: str, spec: FileSpec) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleInvalid(f"{name} lies outside the bundle's folder; export the checkpoint again")
    if not path.is_file():
        raise BundleInvalid(f"{path} is missing; copy the bundle again, whole")
    if path.stat().st_size != spec.byte_count:
        raise BundleInvalid(
            f"{path} has {path.stat().st_size} bytes instead of {spec.byte_count}; copy the bundle again, whole"
        )
    if file_sha256(path) != spec.sha256:
        raise BundleInvalid(f"{path} does not match its digest: it is damaged or was changed; copy the bundle again")
