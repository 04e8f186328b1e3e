"""GPU memory of plans: weights are unloaded, prefetched and freed, scratch is shared, a lack of memory is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.api.errors import OutOfMemory
from tests import fake_tensorrt
from tests.fake_cuda import FakeCuda
from tests.planned_bundles import WEIGHT_BYTES, decode, graph_of, latent_of, runtime_in


def test_unloading_frees_the_weights_and_a_call_brings_them_back(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path
) -> None:
    runtime = runtime_in(tmp_path)
    before = fake_gpu.used_bytes
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    assert fake_gpu.used_bytes - before == WEIGHT_BYTES
    latent = latent_of(graph.spec)
    first = decode(runtime, graph, latent)
    graph.unload()
    graph.unload()
    assert fake_gpu.used_bytes - before == fake_tensorrt.SCRATCH_BYTES - 1  # the scratch was one byte before
    second = decode(runtime, graph, latent)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert runtime.memory_bytes() == fake_gpu.used_bytes
    assert runtime.peak_memory_bytes() > fake_gpu.used_bytes


def test_prefetched_weights_are_there_before_the_call(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    graph.unload()
    before = fake_gpu.used_bytes
    graph.prefetch()
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)  # the one loading thread is through
    assert fake_gpu.used_bytes - before == WEIGHT_BYTES
    decode(runtime, graph, latent_of(graph.spec))
    graph.prefetch()
    graph.unload()
    assert fake_gpu.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1


def test_a_failed_prefetch_is_told_by_the_call_and_does_not_last(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path
) -> None:
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    graph.unload()
    fake_gpu.memory_bytes = fake_gpu.used_bytes + WEIGHT_BYTES // 2
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)
    fake_gpu.memory_bytes = 24 * 2**30
    latent = latent_of(graph.spec)
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory"):
        decode(runtime, graph, latent)
    decode(runtime, graph, latent)


def test_the_last_reference_frees_a_graph(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    before = fake_gpu.used_bytes
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    graph.unload()
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)
    del graph
    assert fake_gpu.used_bytes == before


def test_plans_share_one_scratch_buffer(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    before = fake_gpu.used_bytes
    for stage in ("vae_decoder_init", "vae_encoder_init"):
        graph = runtime.load(planned_bundle, graph_of(planned_bundle, stage))
        decode(runtime, graph, latent_of(graph.spec))
        del graph
    assert fake_gpu.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1


def test_classic_tensorrt_opens_a_plan_again(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClassicRuntime(fake_tensorrt.Runtime):
        def __init__(self, logger: fake_tensorrt.ILogger) -> None:
            super().__init__(logger)
            del self.defer_weights_loading

        def deserialize_cuda_engine(self, content: Any) -> fake_tensorrt.Engine | None:
            self.defer_weights_loading = False
            try:
                return super().deserialize_cuda_engine(content)
            finally:
                del self.defer_weights_loading

    monkeypatch.setattr(fake_tensorrt, "Runtime", ClassicRuntime)
    monkeypatch.delattr(fake_tensorrt, "IRuntimeCache")
    monkeypatch.setattr(ClassicRuntime, "opened", [])
    runtime = runtime_in(tmp_path)
    before = fake_gpu.used_bytes
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    first = decode(runtime, graph, latent_of(graph.spec))
    graph.unload()
    assert fake_gpu.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1
    second = decode(runtime, graph, latent_of(graph.spec))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert ClassicRuntime.opened == [graph.spec.file] * 2
    runtime.close()
    assert not (tmp_path / "kernels").exists()


def test_a_card_too_small_for_a_buffer(fake_gpu: FakeCuda, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    fake_gpu.memory_bytes = fake_gpu.used_bytes + 1023
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory; free it of other work"):
        runtime.zeros((256,))


def test_a_card_too_small_for_the_weights(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    fake_gpu.memory_bytes = fake_gpu.used_bytes + WEIGHT_BYTES - 1
    with pytest.raises(OutOfMemory, match="serve a lower precision"):
        runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
