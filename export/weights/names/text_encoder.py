"""Names of the umT5 encoder: transformers', the official ``T5Encoder`` (``wan/modules/t5.py``), and llama.cpp's (GGUF).

In the official module ``gate.0`` is the activated half of the first layer, transformers' ``wi_0``; ``fc1`` is ``wi_1``.
"""

from __future__ import annotations

from export.weights.names.table import WEIGHT, Row

_BLOCK = "encoder.block.{}.layer"
# Inside name below a block, official name and llama.cpp's name below a block.
_OF_BLOCK = (
    *((f"0.SelfAttention.{name}", f"attn.{name}", f"attn_{name}") for name in "qkvo"),
    ("0.SelfAttention.relative_attention_bias", "pos_embedding.embedding", "attn_rel_b"),
    ("0.layer_norm", "norm1", "attn_norm"),
    ("1.DenseReluDense.wi_0", "ffn.gate.0", "ffn_gate"),
    ("1.DenseReluDense.wi_1", "ffn.fc1", "ffn_up"),
    ("1.DenseReluDense.wo", "ffn.fc2", "ffn_down"),
    ("1.layer_norm", "norm2", "ffn_norm"),
)

OFFICIAL_ROWS: tuple[Row, ...] = (
    Row("shared", "token_embedding", WEIGHT),
    Row("encoder.embed_tokens", "token_embedding", WEIGHT),  # transformers' other name of the same parameter
    *(Row(f"{_BLOCK}.{inside}", f"blocks.{{}}.{official}", WEIGHT) for inside, official, _ in _OF_BLOCK),
    Row("encoder.final_layer_norm", "norm", WEIGHT),
)
GGUF_ROWS: tuple[Row, ...] = (
    Row("shared", "token_embd", WEIGHT),
    Row("encoder.embed_tokens", "token_embd", WEIGHT),
    *(Row(f"{_BLOCK}.{inside}", f"enc.blk.{{}}.{gguf}", WEIGHT) for inside, _, gguf in _OF_BLOCK),
    Row("encoder.final_layer_norm", "enc.output_norm", WEIGHT),
)

TOKENIZER = "spiece_model"  # ComfyUI stores the SentencePiece model as a tensor of bytes
# Parameters of umT5's decoder, which the encoder does not need, in transformers' and llama.cpp's names.
DECODER_PREFIXES = ("decoder.", "lm_head.", "dec.", "output.")
