"""Emulated half precision on a CPU: every arithmetic result is rounded; sums and the graph's output are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from benchmarks.precision.half import round_results
from benchmarks.precision.runs import psnr_db, relative_error
from benchmarks.precision.table import markdown
from export.quantise.recipes import recipe_for
from tests.quantising import linear_graph, run, weight

_BODY = "t = Transpose<perm=[1,0]>(w) m = MatMul(x, t) a = Tanh(m) b = Tanh(m) y = Add(a, b)"


@pytest.mark.parametrize(
    ("kind", "dtype"), [(ir.DataType.FLOAT16, torch.float16), (ir.DataType.BFLOAT16, torch.bfloat16)], ids=str
)
def test_results_are_rounded_as_torch_rounds(tmp_path: Path, kind: ir.DataType, dtype: torch.dtype) -> None:
    original, inputs = weight(48, 64), torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(2))
    model = linear_graph({"w": (48, 64)}, _BODY)
    model.graph.initializers["w"].const_value = ir.Tensor(original.numpy(), name="w")
    assert round_results(model, kind) == 3  # not the last
    ir.save(model, tmp_path / "half.onnx")
    actual = run(tmp_path / "half.onnx", {"x": inputs.numpy()})
    product = torch.from_numpy(inputs.numpy() @ original.numpy().T).to(dtype).float()
    expected = 2 * product.tanh().to(dtype).float()
    np.testing.assert_allclose(actual, expected.numpy(), atol=2 * torch.finfo(dtype).eps)
    assert (
        np.abs(actual - expected.numpy()) < 1e-6
    ).mean() > 0.98  # sums in another order round otherwise now and then
    assert np.abs(actual - np.tanh(inputs.numpy() @ original.numpy().T) * 2).max() > 1e-4


def test_integers_are_left_alone() -> None:
    model = linear_graph({"w": (48, 64)}, "s = Shape(x) t = Add(s, s) y = Cast<to=1>(t)")
    for node in list(model.graph)[:2]:  # as the exporter states them
        node.outputs[0].dtype = ir.DataType.INT64
    assert round_results(model, ir.DataType.FLOAT16) == 0


def test_figures() -> None:
    ones = np.ones((2, 3), np.float32)
    assert relative_error([ones * 1.1, ones], [ones, ones]) == pytest.approx(0.1 / 2**0.5, rel=1e-5)
    black = np.zeros((1, 2, 2, 3), np.uint8)
    assert psnr_db(black, black) == 99.0
    assert psnr_db(black + 255, black) == pytest.approx(0.0)
    assert psnr_db(black, black + 1) == pytest.approx(48.13, abs=0.01)  # differences of bytes do not wrap


def test_the_page_names_every_rule_and_figure() -> None:
    row = {
        "name": "int4",
        "errors": [0.0123, 0.0456],
        "linear_errors": [0.0111, None],
        "psnr_mean_db": 31.25,
        "psnr_worst_db": 28.0,
        "weight_share": 0.3,
    }
    group = {"group": "ffn.net.2", "int8": 0.1, "fp8": 0.2, "int4_nearest": 0.4, "int4": 0.3}
    setting = {
        "name": "pocket",
        "width_px": 64,
        "height_px": 64,
        "frame_count": 17,
        "step_count": 20,
        "clip_count": 4,
        "calibration_pairs": 6,
    }
    attention = {"group": "self-attention itself", "fp8": 0.5}
    lengths = [{"key_count": 32_760, "errors": {"0.5": 0.0417, "4": 0.1139}}]
    outcome = {
        "name": "fp8",
        "clip_count": 64,
        "motion_followed": 0.9375,
        "light_followed": 1.0,
        "subject_kept": 0.5,
        "subject_psnr_db": 21.456,
    }
    content = {"recipes": [row], "groups": [group, attention], "attention": lengths, "setting": setting}
    assert "| fp8 | 64 |" not in markdown(content)  # outcomes are measured by a command of their own
    page = markdown({**content, "outcomes": [outcome]})
    assert "| `self-attention itself` | – | 0.5000 | – | – |" in page
    assert "| fp8 | 64 | 93.8% | 100.0% | 50.0% | 21.46 |" in page
    assert "| keys | spread 0.5 | spread 4 |\n|---|---|---|\n| 32,760 | 0.042 | 0.114 |" in page
    assert "| int4 | 0.0123 / 0.0456 | 0.0111 / – | 31.2 | 28.0 | 0.30 |" in page
    assert "| `ffn.net.2` | 0.1000 | 0.2000 | 0.4000 | 0.3000 |" in page
    for rule in recipe_for("transformer", "int8").rules:
        assert rule.reason in page
        assert rule.pattern in page
