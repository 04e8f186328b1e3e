"""Self-attention in graphs: the node of ONNX Runtime, the operators it stands for, and the tracing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from engine.bundle.folder import parse_manifest
from export.attention import spell_out
from export.tracing.self_attention import attend, self_attend
from export.tracing.trace import trace

HEADS, TOKENS, WIDTH = 3, 20, 24
SHAPE = f"batch, {TOKENS}, {WIDTH}"


def _model(dtype: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>
        attention ({dtype}[{SHAPE}] q, {dtype}[{SHAPE}] k, {dtype}[{SHAPE}] v) => ({dtype}[{SHAPE}] y)
        <{dtype}[{SHAPE}] first>
        {{
            first = com.microsoft.MultiHeadAttention <num_heads = {HEADS}> (q, k, v)
            y = com.microsoft.MultiHeadAttention <num_heads = {HEADS}> (first, k, v)
        }}
    """)
    for index, node in enumerate(model.graph.node):
        node.name = f"attention_{index}"
    return model


def _run(model: onnx.ModelProto, inputs: dict[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float", 1e-6), ("float16", 2e-3)])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_operators_compute_what_the_node_computes(dtype: str, tolerance: float, batch: int) -> None:
    """In half precision too, for which ONNX Runtime has no such kernel on the CPU and casts."""
    draw = np.random.default_rng(0)
    kind = np.float16 if dtype == "float16" else np.float32
    inputs = {name: draw.standard_normal((batch, TOKENS, WIDTH)).astype(kind) for name in "qkv"}
    model = _model(dtype)
    spelled = ir.from_proto(model)
    assert spell_out(spelled) == 2
    assert {node.domain for node in spelled.graph} == {""}
    assert spelled.opset_imports == {"": 20}
    assert spelled.graph.outputs[0].name == "y"
    found, expected = _run(ir.to_proto(spelled), inputs), _run(model, inputs)
    assert found.dtype == kind
    assert np.abs(found.astype(np.float32) - expected.astype(np.float32)).max() <= tolerance


def test_graphs_without_the_node_stay_as_they_are() -> None:
    """Those of bundles that were exported before."""
    text = '<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) { y = Softmax <axis = -1> (x) }'
    model = ir.from_proto(onnx.parser.parse_model(text))
    before = ir.to_proto(model)
    assert spell_out(model) == 0
    assert ir.to_proto(model) == before


class _Attention(nn.Module):
    def __init__(self, device: str) -> None:
        super().__init__()
        self.to_q = nn.Linear(WIDTH, WIDTH, device=device)

    def forward(self, hidden: Tensor) -> Tensor:
        return self_attend(self.to_q(hidden), hidden, hidden, HEADS)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_self_attention_is_traced_to_the_node_also_without_values(device: str) -> None:
    hidden = torch.zeros(1, TOKENS, WIDTH, device=device)
    traced = trace(_Attention(device), {"hidden": hidden}, ("mixed",), {"hidden": (torch.export.Dim("batch", max=2),)})
    (node,) = [node for node in traced.graph if node.op_type == "MultiHeadAttention"]
    assert (node.domain, node.attributes.get_int("num_heads", 0)) == ("com.microsoft", HEADS)
    assert not [node for node in traced.graph if node.op_type == "Softmax"]
    assert [str(axis) for axis in node.outputs[0].shape or ()] == ["batch", str(TOKENS), str(WIDTH)]


def test_torch_computes_self_attention_as_any_other() -> None:
    query, key, value = torch.randn(3, 2, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    assert torch.equal(self_attend(query, key, value, HEADS), attend(query, key, value, HEADS))


def test_a_bundles_transformers_hold_a_node_for_each_block(tiny_bundle: Path) -> None:
    transformers = [graph for graph in parse_manifest(tiny_bundle).graphs if graph.stage.startswith("transformer")]
    for graph in transformers:
        nodes = onnx.load(tiny_bundle / graph.file, load_external_data=False).graph.node
        kinds = [node.op_type for node in nodes]
        assert kinds.count("MultiHeadAttention") == kinds.count("Softmax") > 0  # a Softmax for each cross-attention
