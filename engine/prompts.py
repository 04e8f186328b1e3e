"""Prompts become embeddings, each once. Knows tokenizer, text encoder and a cache; knows no transformer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from engine.bundle import TokenizerSpec
from engine.execution import Execution
from engine.runtime.base import Array, Graph
from engine.text import TextTokenizer, clean_prompt


class PromptEncoder:
    """Keeps the embeddings of the last ``entry_count`` prompts; one of umT5-xxl takes 8 MiB in float32."""

    def __init__(self, folder: Path, tokenizer: TokenizerSpec, graph: Graph, entry_count: int) -> None:
        self._tokenizer = TextTokenizer(folder, tokenizer)
        self._graph = graph
        self._entry_count = entry_count
        self._entries: OrderedDict[str, Array] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, prompt: str, execution: Execution) -> Array:
        """Embeddings of a prompt, [1, 512, text size], rows of padding zero. One graph call, or none."""
        prompt = clean_prompt(prompt)
        with self._lock:
            if prompt in self._entries:
                self._entries.move_to_end(prompt)
                return self._entries[prompt]
        input_ids, attention_mask = self._tokenizer.encode(prompt)
        embeds = execution.call(self._graph, {"input_ids": input_ids, "attention_mask": attention_mask})[
            "prompt_embeds"
        ]
        with self._lock:
            self._entries[prompt] = embeds
            while len(self._entries) > self._entry_count:
                self._entries.popitem(last=False)
        return embeds
