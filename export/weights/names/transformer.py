"""Names of the transformer: the official ``WanModel`` (``wan/modules/model.py`` of the official repository).

ComfyUI's single files, Kijai's and the GGUF files of the transformer have these names, most with a prefix. The
official ``norm3`` of a block stands before cross-attention and is Diffusers' ``norm2``; norm1 and the official norm2
have no parameters.
"""

from __future__ import annotations

from export.weights.names.table import PARAMETER, WEIGHT, Row


def _attention(inside: str, official: str) -> tuple[Row, ...]:
    inside, official = f"blocks.{{}}.{inside}", f"blocks.{{}}.{official}"
    return (
        *(Row(f"{inside}.to_{name}", f"{official}.{name}") for name in "qkv"),
        Row(f"{inside}.to_out.0", f"{official}.o"),
        *(Row(f"{inside}.norm_{name}", f"{official}.norm_{name}", WEIGHT) for name in "qk"),
    )


ROWS: tuple[Row, ...] = (
    *_attention("attn1", "self_attn"),
    *_attention("attn2", "cross_attn"),
    Row("blocks.{}.norm2", "blocks.{}.norm3"),
    Row("blocks.{}.ffn.net.0.proj", "blocks.{}.ffn.0"),
    Row("blocks.{}.ffn.net.2", "blocks.{}.ffn.2"),
    Row("blocks.{}.scale_shift_table", "blocks.{}.modulation", PARAMETER),
    Row("patch_embedding", "patch_embedding"),
    Row("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    Row("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    Row("condition_embedder.time_proj", "time_projection.1"),
    Row("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    Row("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    Row("scale_shift_table", "head.modulation", PARAMETER),
    Row("proj_out", "head.head"),
)
