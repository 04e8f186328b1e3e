"""The manifest of an export is true: errors, versions, files, digests and the preview's projection."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import Tensor
from torch.nn import functional

from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME, read_manifest
from engine.bundle.manifest import Manifest, PreviewSpec
from engine.generate.matrix_columns import KEPT_NAMES, MatrixColumns
from engine.generate.preview import preview_of
from export.errors import ExportError
from export.tracing.guidance import write_guide_and_step
from export.tracing.preview import fit_preview
from export.tracing.vae import decoder_graphs, encoder_graphs
from export.tracing.verify import TOLERANCE, verify_against, verify_against_torch
from export.weights.layouts.opening import open_checkpoint


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    return read_manifest(tiny_bundle)[0]


def test_every_graph_was_measured_and_is_within_the_tolerance(manifest: Manifest) -> None:
    assert len(manifest.graphs) == 17
    for graph in manifest.graphs:
        assert graph.max_abs_value is not None, graph.file
        assert graph.max_abs_error is not None, graph.file
        assert graph.max_abs_value > 0.01, graph.file  # zeros would equal anything
        assert 0 <= graph.max_abs_error <= TOLERANCE * max(graph.max_abs_value, 1.0), graph.file
    assert max(graph.max_abs_error or 0 for graph in manifest.graphs) > 0  # float32 in another order is never all equal


def test_a_stated_error_can_be_measured_again(tiny_bundle: Path, manifest: Manifest) -> None:
    vae = AutoencoderKLWan.from_pretrained(tiny_bundle.parent / "checkpoint" / "vae").eval()
    geometry = Geometry(48, 48, 9)
    for stage, traced in (
        ("vae_encoder_init", encoder_graphs(vae, 48, 48).init),
        ("vae_decoder_init", decoder_graphs(vae, 48, 48).init),
    ):
        stated = manifest.graph(stage, geometry)  # type: ignore[arg-type]
        measured = verify_against_torch(tiny_bundle / stated.file, traced)
        assert measured.max_abs_value == pytest.approx(stated.max_abs_value, rel=1e-4)
        assert measured.max_abs_error == pytest.approx(stated.max_abs_error, abs=1e-5)
        assert (measured.inputs, measured.outputs) == (stated.inputs, stated.outputs)


@pytest.fixture
def guidance(tmp_path: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A small graph, inputs, and what it must give for them."""
    file = tmp_path / "guide_and_step.onnx"
    write_guide_and_step((1, 2, 1, 2, 2), 1, file)
    generator = np.random.default_rng(0)
    inputs = {
        name: generator.standard_normal((1, 2, 1, 2, 2), dtype=np.float32)
        for name in ("latents", "last_sample", "x0_1", *KEPT_NAMES)
    }
    inputs["prediction"] = generator.standard_normal((2, 2, 1, 2, 2), dtype=np.float32)
    columns = MatrixColumns(1, prediction_count=2, keeps=True)
    matrix = generator.standard_normal((columns.row_count, columns.count), dtype=np.float32)
    rows = matrix @ np.concatenate([item.reshape(len(item), -1) for item in inputs.values()])
    names = ("next_latents", "sample", "x0", *(f"next_{name}" for name in KEPT_NAMES))
    expected = dict(zip(names, rows.reshape(len(names), 1, 2, 1, 2, 2), strict=True))
    expected["magnitude"] = np.array([np.abs(rows).mean()])
    return file, {**inputs, "matrix": matrix}, expected


def test_a_graph_that_differs_from_torch_is_refused(guidance: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    file, inputs, expected = guidance
    error = verify_against(file, inputs, expected).max_abs_error
    assert error is not None
    assert error < 1e-6
    expected["x0"][0, 1, 0, 1, 1] += 0.5
    with pytest.raises(ExportError, match=r"guide_and_step\.onnx differs from torch by 0\.5 .* the graph is wrong"):
        verify_against(file, inputs, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_graph_that_gives_no_number_is_refused(
    guidance: tuple[Path, dict[str, Any], dict[str, Any]], value: float
) -> None:
    file, inputs, expected = guidance
    inputs["latents"][0, 0, 0, 0, 0] = value
    with np.errstate(invalid="ignore"), pytest.raises(ExportError, match="differs from torch by"):
        verify_against(file, inputs, expected)


def test_the_versions_are_those_that_are_installed(manifest: Manifest) -> None:
    libraries = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "onnxruntime")
    assert manifest.exported_with == {library: version(library) for library in libraries}


def test_every_file_of_the_bundle_is_listed(tiny_bundle: Path, manifest: Manifest) -> None:
    found = {file.relative_to(tiny_bundle).as_posix() for file in tiny_bundle.rglob("*") if file.is_file()}
    assert found == {*manifest.files, MANIFEST_NAME}


def test_every_size_has_a_graph_for_every_stage(manifest: Manifest) -> None:
    expected = {"text_encoder", "scorer_image", "scorer_text", "guide_and_step", "transformer_high", "transformer_low"}
    expected |= {f"vae_{direction}_{part}" for direction in ("encoder", "decoder") for part in ("init", "step")}
    for item in manifest.geometries:
        geometry = Geometry(item.width_px, item.height_px, item.frame_count)
        assert {graph.stage for graph in manifest.graphs if graph.serves(geometry)} == expected


def test_the_schedule_and_the_latents_are_the_checkpoints(manifest: Manifest) -> None:
    assert manifest.schedule.as_dict() == {
        "solver": "unipc",
        "order": 2,
        "shift": 5.0,
        "step_count": 40,
        "train_step_count": 1000,
        "boundary_timestep": 900.0,
    }
    assert manifest.latent.as_dict() == {"channel_count": 16, "spatial_stride": 8, "temporal_stride": 4}


def test_the_checkpoint_has_the_digest_that_is_stated(tiny_bundle: Path, manifest: Manifest, tmp_path: Path) -> None:
    checkpoint = tiny_bundle.parent / "checkpoint"
    assert open_checkpoint(checkpoint).digest() == manifest.checkpoint_digest
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    assert open_checkpoint(copy).digest() == manifest.checkpoint_digest  # wherever it lies
    (weights,) = (copy / "vae").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert open_checkpoint(copy).digest() != manifest.checkpoint_digest


@pytest.mark.parametrize(
    ("card", "licence"),
    [("---\nlicense: apache-2.0\ntags: [video]\n---\n", "apache-2.0"), ("# A model\n", "unknown"), (None, "unknown")],
)
def test_the_licence_is_the_model_cards(tiny_bundle: Path, tmp_path: Path, card: str | None, licence: str) -> None:
    for part in ("model_index.json", "scheduler"):
        source, target = tiny_bundle.parent / "checkpoint" / part, tmp_path / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    if card is not None:
        (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert open_checkpoint(tmp_path).license == licence


def test_the_preview_states_how_well_it_was_fitted(manifest: Manifest) -> None:
    assert len(manifest.preview.matrix) == manifest.latent.channel_count
    assert -1.0 < manifest.preview.r_squared <= 1.0  # a random VAE tells little of colour, and that is what it must say


class _KnownVae:
    """A VAE whose latents are known: mixtures of the mean colour of each 8 x 8 pixels and, where asked for, noise."""

    mixture = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 1.0, 1.0]])

    def __init__(self, noise: float = 0.0) -> None:
        self._noise = noise
        self._generator = torch.Generator().manual_seed(0)
        self.config = SimpleNamespace(
            scale_factor_spatial=8, latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.0, 2.0, 0.5, 1.5]
        )

    def encode(self, frames: Tensor) -> SimpleNamespace:
        """[1, 3, 1, height, width] in -1..1 to a distribution whose mode is [1, 4, 1, h, w]."""
        colours = functional.avg_pool2d(frames[:, :, 0], 8)
        latent = torch.einsum("zc,nchw->nzhw", self.mixture, colours)[:, :, None]
        latent = latent + self._noise * torch.randn(latent.shape, generator=self._generator)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latent))

    def normalised(self, frames: Tensor) -> Tensor:
        """What the transformer sees of frames."""
        shape = (1, -1, 1, 1, 1)
        mean, std = (
            torch.tensor(self.config.latents_mean).view(shape),
            torch.tensor(self.config.latents_std).view(shape),
        )
        return (self.encode(frames).latent_dist.mode() - mean) / std


def _fit(vae: _KnownVae) -> PreviewSpec:
    return fit_preview(vae)


def test_a_preview_shows_the_colours_that_the_latents_hold() -> None:
    vae = _KnownVae()
    preview = _fit(vae)
    assert preview.r_squared == pytest.approx(1.0, abs=1e-6)
    colours = torch.tensor([[[255, 0, 0], [0, 128, 255]]], dtype=torch.float32)  # [1, 2, 3]
    frames = colours.repeat_interleave(8, 0).repeat_interleave(8, 1).permute(2, 0, 1)[None, :, None] / 127.5 - 1
    shown = preview_of(vae.normalised(frames).numpy(), preview)
    assert shown.tolist() == [[[255, 0, 0], [0, 128, 255]]]


def test_a_preview_of_latents_that_hold_less_says_so() -> None:
    some, none = _fit(_KnownVae(noise=0.5)).r_squared, _fit(_KnownVae(noise=50.0)).r_squared
    assert 0.3 < some < 0.95
    assert none < 0.1
