"""The VAE run chunk by chunk, as graphs with caches, against the library's pass over the whole clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from safetensors.torch import save_model

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.bundle.folder import read_manifest
from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.runtime.base import Graph
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from export.tracing.assemble import export_graph
from export.tracing.module_graph import TracedModule
from export.tracing.vae import decoder_graphs, encoder_graphs
from export.tracing.verify import verify_against_torch
from export.weights.parameters import ParameterIndex
from export.weights.shards import Shards
from tests.checkpoints import TinyModel, _vae

_STAGES: tuple[GraphName, ...] = ("vae_encoder_init", "vae_encoder_step", "vae_decoder_init", "vae_decoder_step")
_LATENT_FRAME_COUNT = 4
_FRAME_COUNT = 13
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """A VAE in torch, and its recurrent graphs."""

    vae: AutoencoderKLWan
    encoder: tuple[Graph, Graph]
    decoder: tuple[Graph, Graph]
    width_px: int
    height_px: int

    @property
    def mean(self) -> torch.Tensor:
        return torch.tensor(self.vae.config.latents_mean).view(1, -1, 1, 1, 1)

    @property
    def std(self) -> torch.Tensor:
        return torch.tensor(self.vae.config.latents_std).view(1, -1, 1, 1, 1)


@pytest.fixture(scope="module", params=["A14B", "5B"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    if request.param == "A14B":
        return _from_bundle(request.getfixturevalue("tiny_bundle"))
    return _freshly_exported(TinyModel(is_5b=True), tmp_path_factory.mktemp("vae"))


def _from_bundle(bundle: Path) -> Exported:
    manifest, _ = read_manifest(bundle)
    runtime, geometry = OrtRuntime(thread_count=1), Geometry(48, 48, 9)
    encoder_init, encoder_step, decoder_init, decoder_step = (
        runtime.load(bundle, manifest.graph(stage, geometry)) for stage in _STAGES
    )
    vae = AutoencoderKLWan.from_pretrained(bundle.parent / "checkpoint" / "vae")
    return Exported(vae, (encoder_init, encoder_step), (decoder_init, decoder_step), 48, 48)


def _freshly_exported(model: TinyModel, folder: Path) -> Exported:
    torch.manual_seed(3)
    vae = _vae(model)
    save_model(vae, str(folder / "vae.safetensors"))
    weights = ParameterIndex(vae, Shards.of_file(folder / "vae.safetensors").weights)
    width_px, height_px = 2 * model.size_multiple, model.size_multiple
    encoder, decoder = encoder_graphs(vae, height_px, width_px), decoder_graphs(vae, height_px, width_px)
    graphs = [
        _export(folder, stage, traced, weights)
        for stage, traced in zip(_STAGES, (encoder.init, encoder.step, decoder.init, decoder.step), strict=True)
    ]
    return Exported(vae, (graphs[0], graphs[1]), (graphs[2], graphs[3]), width_px, height_px)


def _export(folder: Path, stage: GraphName, traced: TracedModule, weights: ParameterIndex) -> Graph:
    file = folder / f"{stage}.onnx"
    export_graph(traced, weights, file)
    verified = verify_against_torch(file, traced)
    spec = GraphSpec(
        stage=stage,
        file=file.name,
        inputs=verified.inputs,
        outputs=verified.outputs,
        max_abs_error=verified.max_abs_error,
        max_abs_value=verified.max_abs_value,
    )
    return OrtRuntime(thread_count=1).load(folder, spec)


def _stream(graphs: tuple[Graph, Graph]) -> CausalVaeStream:
    return CausalVaeStream(Execution(OrtRuntime(thread_count=1), CancelFlag()), *graphs)


def _latents(exported: Exported, seed: int = 5) -> NDArray[np.float32]:
    """[1, z, 4, h, w], normalised."""
    config = exported.vae.config
    height, width = (side // config.scale_factor_spatial for side in (exported.height_px, exported.width_px))
    shape = (1, config.z_dim, _LATENT_FRAME_COUNT, height, width)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _decoded(exported: Exported, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    stream = _stream(exported.decoder)
    return np.concatenate([stream.run(latents[:, :, at : at + 1]) for at in range(latents.shape[2])], axis=2)


def test_decoding_latent_by_latent_equals_decoding_at_once(exported: Exported) -> None:
    latents = _latents(exported)
    frames = _decoded(exported, latents)
    with torch.no_grad():
        expected = exported.vae.decode(torch.from_numpy(latents) * exported.std + exported.mean).sample.clamp(-1, 1)
    assert frames.shape == (1, 3, _FRAME_COUNT, exported.height_px, exported.width_px)
    assert float(expected.std()) > 0.05  # a grey clip would prove nothing
    np.testing.assert_allclose(frames, expected.numpy(), rtol=0, atol=_TOLERANCE)


def test_encoding_chunk_by_chunk_equals_encoding_at_once(exported: Exported) -> None:
    shape = (1, 3, _FRAME_COUNT, exported.height_px, exported.width_px)
    frames = np.random.default_rng(6).uniform(-1, 1, shape).astype(np.float32)
    stream = _stream(exported.encoder)
    chunks = [frames[:, :, :1], *(frames[:, :, at : at + 4] for at in range(1, _FRAME_COUNT, 4))]
    latents = np.concatenate([stream.run(chunk) for chunk in chunks], axis=2)
    with torch.no_grad():
        mode = exported.vae.encode(torch.from_numpy(frames)).latent_dist.mode()
    expected = (mode - exported.mean) / exported.std
    assert latents.shape == tuple(expected.shape)
    np.testing.assert_allclose(latents, expected.numpy(), rtol=0, atol=_TOLERANCE)


def test_a_frame_depends_on_the_latents_before_it_and_on_none_after(exported: Exported) -> None:
    """That is what lets frames leave early: nothing that is decoded later could change them."""
    latents, others = _latents(exported), _latents(exported, seed=9)
    mixed = np.concatenate([latents[:, :, :2], others[:, :, 2:]], axis=2)
    frames, mixed_frames = _decoded(exported, latents), _decoded(exported, mixed)
    np.testing.assert_array_equal(mixed_frames[:, :, :5], frames[:, :, :5])
    assert np.abs(mixed_frames[:, :, 5:] - frames[:, :, 5:]).max() > 0.05
    without_past = _decoded(exported, latents[:, :, 2:])
    assert np.abs(without_past[:, :, 1:] - frames[:, :, 9:]).max() > 0.01  # the caches do carry something


def test_two_clips_at_once_do_not_share_their_caches(exported: Exported) -> None:
    first, second = _latents(exported), _latents(exported, seed=9)
    expected = _decoded(exported, first)
    one, other = _stream(exported.decoder), _stream(exported.decoder)
    frames = []
    for at in range(_LATENT_FRAME_COUNT):
        frames.append(one.run(first[:, :, at : at + 1]))
        other.run(second[:, :, at : at + 1])
    np.testing.assert_array_equal(np.concatenate(frames, axis=2), expected)
