"""Turns sentences into token ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.api.errors import BundleInvalid
from engine.bundle.scorer_spec import TokenizerSpec


class TextTokenizer:
    """A tokenizer that truncates and pads every text to one length."""

    def __init__(self, folder: Path, spec: TokenizerSpec) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / spec.file))
        except Exception as error:  # the library raises plain Exception
            raise BundleInvalid(
                f"{folder / spec.file} is not a tokenizer: {error}; export the checkpoint again"
            ) from error
        self._tokenizer.enable_truncation(spec.length)
        self._tokenizer.enable_padding(length=spec.length, pad_id=spec.pad_id, direction=spec.pad_side)
        self._lower_case = spec.lower_case
        self.length = spec.length

    def encode(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and attention mask, [1, length] each; the mask is 0 on padding."""
        encoding = self._tokenizer.encode(text.lower() if self._lower_case else text)
        return np.array([encoding.ids], np.int64), np.array([encoding.attention_mask], np.int64)

    def token_count(self, text: str) -> int:
        """Tokens of a text, including those that ``encode`` would cut off."""
        encoding = self._tokenizer.encode(text.lower() if self._lower_case else text)
        rest = sum(part.special_tokens_mask.count(0) for part in encoding.overflowing)
        return sum(encoding.attention_mask) + rest
