"""Encodes prompts with the text encoder, caches their embeddings, and joins them into the transformer's batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.analysis.prompt.given_text import clean_prompt
from engine.bundle.scorer_spec import TokenizerSpec
from engine.bundle.tokenizer import TextTokenizer
from engine.cache import BoundedCache
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution

_MASKED = -1e4  # e to this is 0 in every precision, and half precision can hold it


class PromptEncoder:
    """Caches the embeddings of the last ``entry_count`` prompts; one token of umT5-xxl takes 16 KiB in float32."""

    def __init__(self, folder: Path, tokenizer: TokenizerSpec, graph: Graph, entry_count: int) -> None:
        self._tokenizer = TextTokenizer(folder, tokenizer)
        self._graph = graph
        self._cache: BoundedCache[str, Array] = BoundedCache(entry_count)

    @property
    def row_count(self) -> int:
        """Rows that the transformer was trained on, including padding."""
        return self._tokenizer.length

    def token_count(self, prompt: str) -> int:
        """Tokens of a prompt, including those that ``encode`` would cut off."""
        return self._tokenizer.token_count(clean_prompt(prompt))

    def encode(self, prompt: str, execution: Execution) -> Array:
        """Embeddings of a prompt, [1, tokens, text size], without padding. One graph call unless cached."""
        prompt = clean_prompt(prompt)
        if (cached := self._cache.find([prompt]).get(prompt)) is not None:
            return cached
        input_ids, attention_mask = self._tokenizer.encode(prompt)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        padded = execution.call(self._graph, inputs)["prompt_embeds"]
        embeds = padded[:, : int(attention_mask.sum())].copy()
        self._cache.keep({prompt: embeds})
        return embeds


def join_prompts(
    prompts: Sequence[Array], row_count: int, padded_row_counts: Sequence[int] = ()
) -> tuple[Array, Array]:
    """Joins prompts, [1, tokens, text size] each, into one batch: embeddings [B, rows, D] and bias [B, rows].

    The transformer was trained on ``row_count`` rows, those after the tokens zero, and attends to all of them. Equal
    rows have equal keys and values, so n zero rows weigh as much in a softmax as one zero row whose score is raised
    by ln n. That is exact, and cross-attention sees a few dozen rows instead of 512. Rows that a shorter prompt of
    the batch does not have are masked, as are rows up to the next of ``padded_row_counts``, ascending, which make few
    shapes of many.
    """
    token_counts = [embeds.shape[1] for embeds in prompts]
    needed = min(max(token_counts) + 1, row_count)
    padded = next((count for count in padded_row_counts if count >= needed), needed)
    shape = (len(prompts), min(padded, row_count), prompts[0].shape[2])
    joined = np.zeros(shape, np.float32)
    bias = np.full(shape[:2], _MASKED, np.float32)
    for row, (embeds, token_count) in enumerate(zip(prompts, token_counts, strict=True)):
        joined[row, :token_count] = embeds[0]
        bias[row, :token_count] = 0.0
        if token_count < row_count:
            bias[row, token_count] = math.log(row_count - token_count)
    return joined, bias
