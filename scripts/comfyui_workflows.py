"""``python -m scripts.comfyui_workflows`` writes the example workflows of the ComfyUI pack in both formats.

The interface format goes into ``clients/comfyui/example_workflows/``, where ComfyUI's template browser looks, the API
format into ``clients/comfyui/api/``. A test compares the files with this module.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.comfyui.api_form import api_form
from scripts.comfyui.definitions import PACK
from scripts.comfyui.examples import example_workflows
from scripts.comfyui.interface_form import interface_form


def workflow_files() -> dict[Path, str]:
    """The text of every file, by its path."""
    files: dict[Path, str] = {}
    for workflow in example_workflows():
        files[PACK / "example_workflows" / f"{workflow.name}.json"] = _text(interface_form(workflow))
        files[PACK / "api" / f"{workflow.name}.json"] = _text(api_form(workflow))
    return files


def main() -> None:
    """Writes the files."""
    for path, text in workflow_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _text(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
