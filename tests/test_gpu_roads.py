"""Which runtimes the tests of a GPU use on which card; and the tests themselves, tried on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from engine.runtime.gpu import Gpu
from tests.gpu import roads
from tests.gpu.roads import Road, find_offer

_ROOT = Path(__file__).resolve().parents[1]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_TENSORRT, _ONNXRUNTIME = Road("tensorrt", "cuda"), Road("onnxruntime", "cuda")


@pytest.mark.parametrize(
    ("capability", "providers", "expected"),
    [
        ("sm_89", [_CUDA, _CPU], [_TENSORRT, _ONNXRUNTIME]),
        ("sm_86", [_CPU], [_TENSORRT]),
        ("sm_90", [_CUDA, _CPU], [_ONNXRUNTIME]),
        ("sm_90", [_CPU], []),
    ],
    ids=["RTX 4090", "RTX 3090 without CUDA in ONNX Runtime", "H100", "H100 without CUDA in ONNX Runtime"],
)
def test_the_card_decides_which_runtimes_are_tested(
    monkeypatch: pytest.MonkeyPatch, capability: str, providers: list[str], expected: list[Road]
) -> None:
    card = Gpu("a card", capability, 24 << 30, "13.0")
    monkeypatch.setattr(roads, "present_gpu", lambda: card)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    offer = find_offer("cuda")
    assert offer.card is card
    assert list(offer.roads) == expected
    faults = " ".join(offer.faults)
    assert ("does not compile for sm_90" in faults) is (capability == "sm_90")
    assert ("pip install 'onnxruntime-gpu" in faults) is (_CUDA not in providers)


@pytest.mark.walk
def test_the_tests_of_a_gpu_pass_on_the_cpu(tmp_path: Path) -> None:
    """So that they cannot be broken when a card is at hand."""
    file = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "tests.gpu", "--device", "cpu", "--json", str(file)]
    # In a process of a parallel run the tests of a GPU are not collected.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-4000:]
    report = json.loads(file.read_text(encoding="utf-8"))
    assert {name.split("/")[0] for topic in ("stages", "clips", "cancel") for name in report[topic]} == {
        "onnxruntime-cpu"
    }
    assert {name.split("/")[1] for name in report["clips"]} == {"tiny", "tiny_5b", "pocket"}
    assert all(clip["psnr_db"] == 100.0 for clip in report["clips"].values())
