"""A small SentencePiece model with umT5's special pieces."""

from __future__ import annotations

import io
from collections.abc import Sequence

from sentencepiece import SentencePieceTrainer


def piece_model(sentences: Sequence[str]) -> bytes:
    """A model of 40 pieces, as ``spiece.model`` holds it: <pad> is 0, </s> is 1, <unk> is 2."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*sentences] * 20),
        model_writer=model,
        vocab_size=40,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        character_coverage=1.0,
        minloglevel=2,
    )
    return model.getvalue()
