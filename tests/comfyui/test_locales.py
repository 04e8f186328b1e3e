"""Names and tooltips in both languages: every node, input and output of the pack, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scripts.comfyui.definitions import PACK, pack_definitions
from scripts.comfyui_locales import ENGLISH, english_text

_LANGUAGES = ("en", "zh")


def _names(language: str, file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PACK / "locales" / language / file).read_text(encoding="utf-8"))
    return content


def test_the_english_file_is_that_of_the_code() -> None:
    assert ENGLISH.read_text(encoding="utf-8") == english_text(), "run python -m scripts.comfyui_locales"


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_node_input_and_output_has_a_name_and_a_tooltip(language: str) -> None:
    names = _names(language, "nodeDefs.json")
    assert list(names) == list(pack_definitions())
    for node_id, definition in pack_definitions().items():
        entry = names[node_id]
        assert set(entry) == {"display_name", "description", "inputs", "outputs"}
        assert list(entry["inputs"]) == [known.name for known in definition.inputs]
        assert list(entry["outputs"]) == [str(slot) for slot in range(len(definition.outputs))]
        for row in (*entry["inputs"].values(), *entry["outputs"].values()):
            assert set(row) == {"name", "tooltip"}
            assert row["name"]
            assert row["tooltip"]


@pytest.mark.parametrize("language", _LANGUAGES)
@pytest.mark.parametrize("file", ["nodeDefs.json", "main.json"])
def test_no_text_has_signs_that_the_front_end_reads_as_its_own(language: str, file: str) -> None:
    # vue-i18n: {name} is a value, @:key a link, | a plural.
    for text in _texts(_names(language, file)):
        assert not set("{}@|") & set(text), text


def test_both_languages_give_the_same_numbers() -> None:
    english, chinese = (_texts(_names(language, "nodeDefs.json")) for language in _LANGUAGES)
    for text, translated in zip(english, chinese, strict=True):
        assert set(re.findall(r"\d+", text)) == set(re.findall(r"\d+", translated)), f"{text} / {translated}"


def test_chinese_texts_are_chinese() -> None:
    for text in _texts(_names("zh", "nodeDefs.json")):
        assert text == "shift" or any("\u4e00" <= character <= "\u9fff" for character in text), text


def test_both_languages_name_the_category_and_the_types_of_links() -> None:
    types = {
        output.type
        for definition in pack_definitions().values()
        for output in definition.outputs
        if output.type.startswith("STILLCUE_")
    }
    categories = {definition.category for definition in pack_definitions().values()}
    for language in _LANGUAGES:
        names = _names(language, "main.json")
        assert set(names["dataTypes"]) == types
        assert set(names["nodeCategories"]) == categories


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [str(value)]
