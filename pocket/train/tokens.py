"""The tokenizers: a Unigram vocabulary learned from the captions, saved in the layouts of umT5 and of SigLIP."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from pocket.settings import SCORER_TOKENS, TEXT_TOKENS
from pocket.world import LANGUAGES, caption, sample_spec, scene_caption

PAD, END, START, UNKNOWN = "<pad>", "</s>", "<s>", "<unk>"

_CAPTION_COUNT = 12000
_HAN = "[\u4e00-\u9fff]"
_MARKS = ",.;:!?，。、；：！？"
_ALPHABET = "▁abcdefghijklmnopqrstuvwxyz0123456789'-" + _MARKS
_LETTER_SCORE = -14.0
"""Log-probability of a single letter: below that of every word."""


def train_pieces() -> Tokenizer:
    """Build the Unigram tokenizer: every word and Han character of the captions, then single letters as a fallback."""
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Split(Regex(f"{_HAN}|[{_MARKS}]"), "isolated"),
        ]
    )
    counts: Counter[str] = Counter()
    for text in _captions():
        counts.update(piece for piece, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    total = sum(counts.values())
    specials = [(token, 0.0) for token in (PAD, END, START, UNKNOWN)]
    words = [(piece, math.log(count / total)) for piece, count in sorted(counts.items())]
    letters = [(letter, _LETTER_SCORE) for letter in _ALPHABET if letter not in counts]
    tokenizer = Tokenizer(models.Unigram([*specials, *words, *letters], unk_id=len(specials) - 1))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}",
        pair=f"$A {END} $B {END}",
        special_tokens=[(END, tokenizer.token_to_id(END))],
    )
    return tokenizer


def save_text_tokenizer(pieces: Tokenizer, folder: Path) -> None:
    """Save in the layout that Diffusers' pipeline loads for its umT5 encoder."""
    _wrap(pieces, TEXT_TOKENS).save_pretrained(folder)


def save_scorer_tokenizer(pieces: Tokenizer, folder: Path) -> None:
    """Save with SigLIP's padding: always to 64 tokens, pad id 0, on the right."""
    padded = Tokenizer.from_str(pieces.to_str())
    padded.enable_padding(direction="right", pad_id=0, pad_token=PAD, length=SCORER_TOKENS)
    padded.enable_truncation(SCORER_TOKENS)
    _wrap(padded, SCORER_TOKENS).save_pretrained(folder)


def _wrap(pieces: Tokenizer, max_tokens: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="right",
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )


def _captions() -> Iterator[str]:
    for seed in range(_CAPTION_COUNT):
        spec = sample_spec(seed)
        language = LANGUAGES[seed % len(LANGUAGES)]
        yield caption(spec, language, seed)
        yield scene_caption(spec.scene, language, seed)
