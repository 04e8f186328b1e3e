"""``docs/comfyui.md``: the table of nodes is that of the code, and the page names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.comfyui.definitions import PACK, pack_definitions
from scripts.docs_tables import updated

_PAGE = Path(__file__).parents[2] / "docs" / "comfyui.md"


def test_the_table_of_nodes_is_that_of_the_code() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    assert updated("comfyui.md", text) == text, "run python -m scripts.docs_tables"
    assert re.findall(r"^### (\D.*)", text, re.MULTILINE) == [
        definition.display_name for definition in pack_definitions().values()
    ]


def test_the_page_names_templates_that_exist() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    for path in (PACK / "example_workflows").glob("*.json"):
        assert f"`{path.stem}`" in text
