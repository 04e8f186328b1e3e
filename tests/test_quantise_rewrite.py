"""Graphs with quantised linear layers in ONNX Runtime, against the same arithmetic in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor

from export.errors import ExportError
from export.quantise.encodings import LARGEST, Encoding, Float8, Int4, Int8
from export.quantise.rewrite import quantise_graph
from tests.quantising import linear_graph, quantised_linear, run, weight, write_quantised

_ONE = "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)"
_INPUTS = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(5))


def _fake(values: Tensor, form: str, largest: float) -> Tensor:
    """Inputs as the graph sees them: rounded by their one scale."""
    if form == "int8":
        return (values / (largest / 127)).round().clamp(-128, 127) * (largest / 127)
    scaled = (values / (largest / LARGEST["fp8"])).clamp(-448, 448)
    return scaled.to(torch.float8_e4m3fn).float() * (largest / LARGEST["fp8"])


def _decoded(folder: Path, encoding: Encoding, name: str = "w") -> Tensor:
    """The weight [outputs, inputs] by ONNX's own reference of DequantizeLinear, from the file's bytes."""
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(folder / "linear.onnx")  # with external data
    (node,) = [item for item in model.graph.node if f"{name}.quantised" in item.input]
    initializers = {item.name: item for item in model.graph.initializer}
    graph = onnx.helper.make_graph(
        [node],
        "dequantise",
        [],
        [onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.UNDEFINED, None)],
        [initializers[item] for item in node.input],
    )
    part = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    (values,) = ReferenceEvaluator(part).run(None, {})
    return torch.from_numpy(np.asarray(values, np.float32)).T


@pytest.mark.parametrize(
    "encoding",
    [
        Int8(torch.float16),
        Int8(torch.float16, 3.0),
        Float8(torch.float16, 3.0),
        Int4(torch.float16, block_size=32),
        Int4(torch.float16, block_size=64),
    ],
    ids=["int8 weight", "int8", "fp8", "int4 blocks of 32", "int4 blocks of 64"],
)
@pytest.mark.parametrize("body", [_ONE, "c = Cast<to=1>(w) t = Transpose<perm=[1,0]>(c) y = MatMul(x, t)"])
def test_the_runtime_computes_what_the_format_says(tmp_path: Path, encoding: Encoding, body: str) -> None:
    original = weight(48, 64)
    file = quantised_linear(tmp_path, {"w": original}, {"w": encoding}, body, ir.DataType.FLOAT)
    actual = run(file, {"x": _INPUTS.numpy()})
    form, largest = encoding.format_name, encoding.input_range  # type: ignore[attr-defined]
    inputs = _INPUTS if largest is None else _fake(_INPUTS, form, largest)
    expected = inputs @ _decoded(tmp_path, encoding).T
    np.testing.assert_allclose(actual, expected, atol=2e-6)
    exact = _INPUTS @ original.T
    error = float((torch.from_numpy(actual) - exact).norm() / exact.norm())
    assert 1e-4 < error < {"int8": 0.02, "fp8": 0.05, "int4": 0.12}[form]


@pytest.mark.parametrize(
    "encoding", [Int8(torch.float16), Int8(torch.float16, 3.0), Int4(torch.float16, block_size=64)]
)
def test_the_runtimes_own_optimiser_does_not_change_what_is_measured(tmp_path: Path, encoding: Encoding) -> None:
    file = quantised_linear(tmp_path, {"w": weight(48, 64)}, {"w": encoding}, _ONE, ir.DataType.FLOAT)
    inputs = {"x": _INPUTS.numpy()}
    np.testing.assert_allclose(run(file, inputs, exact=False), run(file, inputs), atol=1e-5)


def test_gemm_is_rewritten_too(tmp_path: Path) -> None:
    body = "f = Flatten<axis=2>(x) y = Gemm<transB=1>(f, w)"
    file = quantised_linear(tmp_path, {"w": weight(48, 64)}, {"w": Int8(torch.float16)}, body, ir.DataType.FLOAT)
    expected = _INPUTS.flatten(0, 1) @ _decoded(tmp_path, Int8(torch.float16)).T
    np.testing.assert_allclose(run(file, {"x": _INPUTS.numpy()}), expected, atol=2e-6)


_THREE = """
    a = Transpose<perm=[1,0]>(q) aa = MatMul(x, a)
    b = Transpose<perm=[1,0]>(k) bb = MatMul(x, b)
    n = Tanh(x)
    c = Transpose<perm=[1,0]>(v) cc = MatMul(n, c)
    s = Add(aa, bb) y = Add(s, cc)
"""


def test_linears_that_share_an_input_share_its_quantised_form(tmp_path: Path) -> None:
    tensors = {name: weight(48, 64, seed) for seed, name in enumerate("qkv")}
    encodings = {"q": Int8(torch.float16, 2.0), "k": Int8(torch.float16, 3.0), "v": Int8(torch.float16, 1.0)}
    file = quantised_linear(tmp_path, tensors, encodings, _THREE, ir.DataType.FLOAT)
    model = onnx.load(file, load_external_data=False)
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 2
    assert not [node for node in model.graph.node if node.op_type == "Transpose"]
    inputs, turned = _fake(_INPUTS, "int8", 3.0), _fake(_INPUTS.tanh(), "int8", 1.0)  # the wider range of q and k
    expected = inputs @ (_decoded(tmp_path, encodings["q"], "q") + _decoded(tmp_path, encodings["k"], "k")).T
    expected += turned @ _decoded(tmp_path, encodings["v"], "v").T
    np.testing.assert_allclose(run(file, {"x": _INPUTS.numpy()}), expected, atol=4e-6)


def test_a_weight_that_two_linears_read_is_dequantised_once_before_both(tmp_path: Path) -> None:
    body = "t = Transpose<perm=[1,0]>(w) a = MatMul(x, t) u = Transpose<perm=[1,0]>(w) b = MatMul(a, u) y = Add(a, b)"
    file = quantised_linear(tmp_path, {"w": weight(64, 64)}, {"w": Int8(torch.float16)}, body, ir.DataType.FLOAT)
    operations = [node.op_type for node in onnx.load(file, load_external_data=False).graph.node]
    assert operations.count("DequantizeLinear") == 1
    decoded = _decoded(tmp_path, Int8(torch.float16))
    first = _INPUTS @ decoded.T
    np.testing.assert_allclose(run(file, {"x": _INPUTS.numpy()}), first + first @ decoded.T, atol=4e-6)


def test_no_weight_is_left_in_the_graph_file_or_turned_in_it(tmp_path: Path) -> None:
    file = quantised_linear(tmp_path, {"w": weight(480, 640)}, {"w": Int4(torch.float16)}, _ONE, ir.DataType.FLOAT16)
    model = onnx.load(file, load_external_data=False)
    assert file.stat().st_size < 2000
    assert {node.op_type for node in model.graph.node} == {"DequantizeLinear", "MatMul"}  # scales as the graph computes
    assert model.opset_import[0].version == 21
    external = {item.name: item for item in model.graph.initializer}
    assert external["w.quantised"].data_type == onnx.TensorProto.INT4
    assert list(external["w.quantised"].dims) == [640, 480]


def test_a_weight_that_no_linear_reads_is_refused(tmp_path: Path) -> None:
    weights = write_quantised(tmp_path, {"table": weight(48, 64)}, {"table": Int8(torch.float16)})
    model = linear_graph({"table": (48, 64)}, "i = Constant<value_ints=[1,2]>() y = Gather<axis=0>(table, i)")
    with pytest.raises(ExportError, match=r"table: is read by Gather, only the weight of a linear .* leave it out"):
        quantise_graph(model, weights.quantised, tmp_path)


def test_a_weight_of_another_shape_is_refused(tmp_path: Path) -> None:
    weights = write_quantised(tmp_path, {"w": weight(32, 64)}, {"w": Int8(torch.float16)})
    with pytest.raises(ExportError, match=r"w: is \[48, ?64\] in the graph, \[32, 64\] as stored; export again"):
        quantise_graph(linear_graph({"w": (48, 64)}, _ONE), weights.quantised, tmp_path)


def test_an_input_that_calibration_never_saw_is_refused(tmp_path: Path) -> None:
    weights = write_quantised(tmp_path, {"w": weight(48, 64)}, {"w": Int8(torch.float16, 0.0)})
    with pytest.raises(ExportError, match=r"the input x of a linear was always zero .* calibrate with other pictures"):
        quantise_graph(linear_graph({"w": (48, 64)}, _ONE), weights.quantised, tmp_path)


def test_a_graph_without_the_weight_stays_as_it_is(tmp_path: Path) -> None:
    weights = write_quantised(tmp_path, {"other": weight(48, 64)}, {"other": Int8(torch.float16)})
    model = linear_graph({"w": (48, 64)}, _ONE)
    assert quantise_graph(model, weights.quantised, tmp_path) == 0
    assert [node.op_type for node in model.graph] == ["Transpose", "MatMul"]
