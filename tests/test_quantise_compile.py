"""A quantised transformer block compiles for both GPUs; FP8 only for the one that supports it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch

from engine.bundle.graph_spec import Precision
from export.errors import ExportError
from export.quantise.attention import AttentionRanges
from export.quantise.calibration import Calibration
from export.quantise.recipes import recipe_for
from export.quantise.rewrite import quantise_graph
from export.quantise.rewrite_attention import quantise_attention
from export.quantise.stored import QuantisedWeights
from export.quantise.writer import write_tensors
from tests.quantising import Tensors, weight

_WIDTH, _FFN = 128, 256
_SHAPES = {
    **{f"blocks.0.attn1.{name}.weight": (_WIDTH, _WIDTH) for name in ("to_q", "to_k", "to_v", "to_out.0")},
    "blocks.0.ffn.net.0.proj.weight": (_FFN, _WIDTH),
    "blocks.0.ffn.net.2.weight": (_WIDTH, _FFN),
    "proj_out.weight": (64, _WIDTH),
}
# Attention of four heads, feed-forward and the last projection; names are the checkpoint's, dots and all.
_BODY = """
    qt = Transpose<perm=[1,0]>("blocks.0.attn1.to_q.weight") q = MatMul(x, qt)
    kt = Transpose<perm=[1,0]>("blocks.0.attn1.to_k.weight") k = MatMul(x, kt)
    vt = Transpose<perm=[1,0]>("blocks.0.attn1.to_v.weight") v = MatMul(x, vt)
    heads = Constant<value_ints=[1,64,4,32]>()
    flat = Constant<value_ints=[1,64,128]>()
    qr = Reshape(q, heads) qh = Transpose<perm=[0,2,1,3]>(qr)
    kr = Reshape(k, heads) kh = Transpose<perm=[0,2,3,1]>(kr)
    vr = Reshape(v, heads) vh = Transpose<perm=[0,2,1,3]>(vr)
    s = MatMul(qh, kh) p = Softmax<axis=-1>(s) m = MatMul(p, vh)
    mt = Transpose<perm=[0,2,1,3]>(m) mf = Reshape(mt, flat)
    ot = Transpose<perm=[1,0]>("blocks.0.attn1.to_out.0.weight") o = MatMul(mf, ot)
    h = Add(x, o)
    ft = Transpose<perm=[1,0]>("blocks.0.ffn.net.0.proj.weight") f = MatMul(h, ft)
    g = Tanh(f)
    gt = Transpose<perm=[1,0]>("blocks.0.ffn.net.2.weight") w = MatMul(g, gt)
    r = Add(h, w)
    pt = Transpose<perm=[1,0]>("proj_out.weight") y = MatMul(r, pt)
"""
_CALIBRATION = Calibration("none", 1, {name.removesuffix(".weight"): 4.0 for name in _SHAPES})


def _block(folder: Path, precision: Precision, dtype: torch.dtype, *, with_attention: bool = False) -> tuple[Path, int]:
    """The graph of a block by a recipe, and how many linears were quantised."""
    source = Tensors({name: weight(*shape, seed) for seed, (name, shape) in enumerate(_SHAPES.items())})
    recipe = dataclasses.replace(recipe_for("transformer", precision), dtype=dtype)
    file = folder / "weights.safetensors"
    folder.mkdir(exist_ok=True)
    write_tensors(source, recipe.encodings(source, _CALIBRATION), file)
    stored = QuantisedWeights.open(file)
    kind = "float16" if dtype is torch.float16 else "bfloat16"
    names = {name: f"w{index}" for index, name in enumerate(_SHAPES)}  # ONNX's text form has no dots in names
    body = _BODY
    for name, short in names.items():
        body = body.replace(f'"{name}"', short)
    parameters = "".join(f", {kind}[{rows},{columns}] {names[name]}" for name, (rows, columns) in _SHAPES.items())
    signature = f"g ({kind}[1,64,{_WIDTH}] x{parameters}) => ({kind}[1,64,64] y)"
    model = ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 20]> {signature} {{{body}}}')
    for (name, _), value in zip(_SHAPES.items(), list(model.graph.inputs)[1:], strict=True):
        model.graph.inputs.remove(value)
        value.name = name
        # Quantised weights are replaced; the others point at what was cast.
        in_file = stored.shards.weight(name)
        is_quantised = name in stored.quantised
        assert is_quantised or value.dtype == in_file.dtype
        value.const_value = (
            ir.Tensor(torch.zeros(_SHAPES[name]).numpy()) if is_quantised else in_file.external(name, folder)
        )
        model.graph.register_initializer(value)
    if with_attention:
        dtype_of_all = model.graph.inputs[0].dtype
        assert dtype_of_all is not None
        for node in model.graph:  # as the tracer gives every value a type
            if node.op_type != "Constant":
                node.outputs[0].dtype = dtype_of_all
        assert quantise_attention(model, {"blocks.0.attn1": AttentionRanges(4.0, 4.0, 4.0)}) == 1
    count = quantise_graph(model, stored.quantised, folder)
    graph_file = folder / f"block_{precision}.onnx"
    ir.save(model, graph_file)
    return graph_file, count


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp8", torch.float16), ("int4", torch.bfloat16)],  # the others: test_export_precisions
    ids=str,
)
def test_a_block_compiles_for_the_cards_that_have_the_precision(
    tmp_path: Path, precision: Precision, dtype: torch.dtype
) -> None:
    pytest.importorskip("tensorrt_rtx")
    from export.tensorrt import TARGETS, compile_engines

    file, count = _block(tmp_path, precision, dtype)
    assert count == 6  # not the last projection
    targets = [target for target in TARGETS if precision in target.precisions]
    assert len(targets) == (1 if precision == "fp8" else 2)
    specs = compile_engines(file, targets, tmp_path)
    assert {spec.compute_capability for spec in specs} == {target.compute_capability for target in targets}
    assert all((tmp_path / spec.file).stat().st_size > 0 for spec in specs)
    if precision == "fp8":
        with pytest.raises(ExportError, match="fp8"):
            compile_engines(file, TARGETS, tmp_path)


def test_a_block_with_attention_in_fp8_compiles(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    from export.tensorrt import compile_engines, find_target

    half, _ = _block(tmp_path / "half", "fp8", torch.float16)
    file, count = _block(tmp_path / "fp8", "fp8", torch.float16, with_attention=True)
    assert count == 6
    operations = [node.op_type for node in onnx.load(file, load_external_data=False).graph.node]
    before = [node.op_type for node in onnx.load(half, load_external_data=False).graph.node]
    assert operations.count("QuantizeLinear") == before.count("QuantizeLinear") + 4
    onnx.checker.check_model(file, full_check=True)
    (engine,) = compile_engines(file, [find_target("rtx4090")], tmp_path / "fp8")
    assert (tmp_path / "fp8" / engine.file).stat().st_size > 0


@pytest.mark.parametrize("precision", ["int8", "fp8", "int4"])
def test_the_standards_own_checker_accepts_the_graph(tmp_path: Path, precision: Precision) -> None:
    file, _ = _block(tmp_path, precision, torch.float16)
    onnx.checker.check_model(file, full_check=True)
