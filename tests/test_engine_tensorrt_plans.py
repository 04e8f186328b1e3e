"""Plans that do not run here are refused with the reason: other version, other GPU, damaged, missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.errors import BundleInvalid
from tests import fake_tensorrt
from tests.fake_cuda import FakeCuda
from tests.planned_bundles import COMPILER, changed_graph, graph_of, runtime_in


def test_a_plan_of_another_compiler_version(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    spec = changed_graph(planned_bundle, "vae_decoder_init", compiler_version="9.9.8")
    with pytest.raises(BundleInvalid) as refused:
        runtime_in(tmp_path).load(planned_bundle, spec)
    assert str(refused.value) == (
        f"{spec.file}.sm_86.plan was compiled by {COMPILER} 9.9.8, this machine has {COMPILER} 9.9.9, and a plan "
        f"runs only on the version that compiled it; install tests.fake-tensorrt==9.9.8, or export the checkpoint again"
    )


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        ({"version": "9.9.8"}, "another version of TensorRT compiled it; install that version"),
        ({"capability": "sm_89"}, "it was compiled for another GPU; export the checkpoint for this one"),
    ],
)
def test_a_plan_that_is_not_what_the_manifest_says(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, plan: dict[str, str], fault: str
) -> None:
    spec = graph_of(planned_bundle, "vae_decoder_init")
    file = planned_bundle / spec.engines[0].file
    fake_tensorrt.write_plan(file, planned_bundle / spec.file, 1, **plan)  # type: ignore[arg-type]
    with pytest.raises(BundleInvalid, match=f"{file} cannot be used here: {fault}"):
        runtime_in(tmp_path).load(planned_bundle, spec)


def test_a_plan_that_is_none_or_missing(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    spec = graph_of(planned_bundle, "vae_decoder_init")
    file = planned_bundle / spec.engines[0].file
    file.write_bytes(b"no plan")
    with pytest.raises(BundleInvalid, match="cannot be used here: it is no plan of this library"):
        runtime_in(tmp_path).load(planned_bundle, spec)
    file.write_bytes(b"")
    with pytest.raises(BundleInvalid, match=f"{file} is empty; copy the bundle again, whole"):
        runtime_in(tmp_path).load(planned_bundle, spec)
    file.unlink()
    with pytest.raises(BundleInvalid, match=f"cannot read {file}: No such file or directory; copy the bundle again"):
        runtime_in(tmp_path).load(planned_bundle, spec)


def test_a_plan_that_does_not_open_tells_the_librarys_reason(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path
) -> None:
    spec = graph_of(planned_bundle, "vae_decoder_init")
    (planned_bundle / spec.file).unlink()
    with pytest.raises(BundleInvalid, match="it could not be opened: the graph behind this plan is gone"):
        runtime_in(tmp_path).load(planned_bundle, spec)
