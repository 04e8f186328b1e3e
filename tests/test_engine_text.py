"""Token ids and cleaned prompts against the libraries that the models were trained with."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from diffusers.pipelines.wan.pipeline_wan_i2v import prompt_clean
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from engine.analysis.prompt.given_text import clean_prompt
from engine.bundle.folder import read_manifest
from engine.bundle.tokenizer import TextTokenizer

_PROMPTS = {
    "English": "a white cat jumps to the left while the light fades",
    "Chinese": "人物先转头,然后微笑,镜头推近",
    "both": "海豚 leaps out of 海面 & splashes",
    "unknown letters": "Ωμέγα ☃ 🐈",
    "capitals": "A White CAT",
    "very long": "the red car drives slowly down the road " * 100,
    "very long and Chinese": "红色的汽车在公路上缓缓行驶" * 100,
    "one word": "cat",
    "empty": "",
}


@pytest.fixture(scope="module")
def text(tiny_bundle: Path) -> tuple[TextTokenizer, PreTrainedTokenizerBase]:
    """The text encoder's tokenizer: the engine's, and the checkpoint's."""
    manifest, _ = read_manifest(tiny_bundle)
    library = AutoTokenizer.from_pretrained(tiny_bundle.parent / "checkpoint" / "tokenizer")
    return TextTokenizer(tiny_bundle, manifest.tokenizer), library


@pytest.fixture(scope="module")
def scorer_text(tiny_bundle: Path) -> tuple[TextTokenizer, PreTrainedTokenizerBase]:
    """The scorer's."""
    manifest, _ = read_manifest(tiny_bundle)
    assert manifest.scorer is not None
    library = AutoTokenizer.from_pretrained(tiny_bundle.parent / "checkpoint" / "scorer")
    return TextTokenizer(tiny_bundle, manifest.scorer.tokenizer), library


@pytest.mark.parametrize("prompt", _PROMPTS.values(), ids=_PROMPTS)
def test_ids_of_a_prompt_equal_the_checkpoints(
    text: tuple[TextTokenizer, PreTrainedTokenizerBase], prompt: str
) -> None:
    ours, library = text
    expected = library(prompt, padding="max_length", max_length=512, truncation=True, return_tensors="np")
    ids, mask = ours.encode(prompt)
    assert ids.shape == mask.shape == (1, 512)
    assert ids.dtype == mask.dtype == np.int64
    np.testing.assert_array_equal(ids, expected["input_ids"])
    np.testing.assert_array_equal(mask, expected["attention_mask"])


def test_long_prompts_do_fill_the_encoder_and_short_ones_do_not(
    text: tuple[TextTokenizer, PreTrainedTokenizerBase],
) -> None:
    """Without it the test above would show neither truncation nor padding."""
    lengths = {name: int(text[0].encode(prompt)[1].sum()) for name, prompt in _PROMPTS.items()}
    assert [name for name, length in lengths.items() if length == 512] == ["very long", "very long and Chinese"]
    assert lengths["empty"] == 1  # the end of the sentence


@pytest.mark.parametrize("prompt", _PROMPTS.values(), ids=_PROMPTS)
def test_ids_of_a_scored_sentence_equal_the_scorers(
    scorer_text: tuple[TextTokenizer, PreTrainedTokenizerBase], prompt: str
) -> None:
    ours, library = scorer_text
    expected = library(prompt.lower(), padding="max_length", max_length=64, truncation=True, return_tensors="np")
    np.testing.assert_array_equal(ours.encode(prompt)[0], expected["input_ids"])


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  a cat \n\t jumps  ", "a cat jumps"),
        ("cat &amp; dog", "cat & dog"),
        ("cat &amp;amp; dog", "cat & dog"),
        ("a <b>cat</b> &amp;amp; dog", "a <b>cat</b> & dog"),  # a tag keeps ftfy from resolving entities itself
        ("the cat&rsquo;s tail", "the cat's tail"),
        ("schÃ¶n", "schön"),
        ("海豚\u3000跃出", "海豚 跃出"),
        ("", ""),
    ],
)
def test_a_prompt_is_cleaned(prompt: str, cleaned: str) -> None:
    assert clean_prompt(prompt) == cleaned


_FRAGMENTS = st.sampled_from(
    [
        "&amp;",
        "&amp;lt;",
        "<b>",
        "&nbsp;",
        "&#x20;",
        "&lt",
        "â€™",
        "Ã©",
        "\u200b",
        "\x1c",
        "\u3000",
        "ﬁ",
        "\r\n",
        "猫",
        "“",
        "A",
    ]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.text(), st.lists(st.one_of(_FRAGMENTS, st.text(max_size=3))).map("".join)))
def test_every_prompt_is_cleaned_as_the_library_cleans_it(prompt: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert clean_prompt(prompt) == prompt_clean(prompt)
