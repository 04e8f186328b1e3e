"""Attention of traced modules.

Self-attention is an operator of its own: torch computes it as any attention, and tracing makes the node of
``export.attention`` of it, also where query, key and value have no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from onnx import defs
from onnxscript.values import Op, Opset
from torch import Tensor
from torch.nn import functional

from export.attention import DOMAIN, OPERATOR, VERSION

# The part of ONNX Runtime's schema that is used; ``onnx`` does not know its operators.
_SCHEMA = defs.OpSchema(
    OPERATOR,
    DOMAIN,
    VERSION,
    inputs=[defs.OpSchema.FormalParameter(name, "T") for name in ("query", "key", "value")],
    outputs=[defs.OpSchema.FormalParameter("output", "T")],
    type_constraints=[("T", ["tensor(float)", "tensor(float16)", "tensor(bfloat16)"], "")],
    attributes=[defs.OpSchema.Attribute("num_heads", defs.OpSchema.AttrType.INT)],
)
_NODE = Op(Opset(DOMAIN, VERSION), OPERATOR, _SCHEMA)


def attend(query: Tensor, key: Tensor, value: Tensor, head_count: int, bias: Tensor | None = None) -> Tensor:
    """Attention over query [B, tokens, width], key and value [B, rows, width]; ``bias`` is added to the scores."""
    query, key, value = (item.unflatten(2, (head_count, -1)).transpose(1, 2) for item in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)


@torch.library.custom_op("stillcue::self_attend", mutates_args=())
def self_attend(query: Tensor, key: Tensor, value: Tensor, head_count: int) -> Tensor:
    """``attend`` of all tokens to all tokens, each [B, tokens, width]."""
    return attend(query, key, value, head_count).contiguous()


@self_attend.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, head_count: int) -> Tensor:  # noqa: ARG001
    return torch.empty_like(query)


def _as_node(query: Any, key: Any, value: Any, head_count: int) -> Any:
    return _NODE(query, key, value, num_heads=head_count)


TRANSLATIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {torch.ops.stillcue.self_attend.default: _as_node}
