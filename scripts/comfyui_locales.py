"""``python -m scripts.comfyui_locales`` writes the English names and tooltips of the ComfyUI pack from its code.

They go into ``clients/comfyui/locales/en/nodeDefs.json``. The Chinese file is written by hand; a test compares
the nodes, inputs and outputs of both with the pack's.
"""

from __future__ import annotations

import json
from typing import Any

from scripts.comfyui.definitions import PACK, Definition, pack_definitions

ENGLISH = PACK / "locales" / "en" / "nodeDefs.json"
_NAMES = {"tls": "TLS"}


def english_text() -> str:
    """The text of the English file."""
    content = {node_id: _entry(definition) for node_id, definition in pack_definitions().items()}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the file."""
    ENGLISH.write_text(english_text(), encoding="utf-8")


def _entry(definition: Definition) -> dict[str, Any]:
    return {
        "display_name": definition.display_name,
        "description": definition.description,
        "inputs": {
            known.name: {"name": _in_words(known.name), "tooltip": known.options["tooltip"]}
            for known in definition.inputs
        },
        "outputs": {
            str(slot): {"name": _in_words(output.name), "tooltip": output.tooltip}
            for slot, output in enumerate(definition.outputs)
        },
    }


def _in_words(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


if __name__ == "__main__":
    main()
