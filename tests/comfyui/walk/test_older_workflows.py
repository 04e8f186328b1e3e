"""Workflows from before the inputs ``seconds`` and ``stages`` of Generate Video load and run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.comfyui.definitions import PACK
from tests.comfyui.walk.chain_runs import frame_count, run_to_end
from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.comfyui.comfy import Comfy, Graph
    from tests.comfyui.serving_process import ServingProcess
    from tests.comfyui.walk.tab import Tab


def test_a_workflow_from_before_both_inputs_runs(comfy: Comfy, pocket: ServingProcess) -> None:
    comfy.put_picture(DEMO_PICTURE.name, DEMO_PICTURE.read_bytes())
    graph: Graph = json.loads((PACK / "api" / "pocket_64x64.json").read_text(encoding="utf-8"))
    for item in graph.values():
        if item["class_type"] == "StillcueServer":
            item["inputs"]["address"] = pocket.address
        if item["class_type"] == "StillcueGenerateVideo":
            del item["inputs"]["seconds"], item["inputs"]["stages"]
            item["inputs"]["seed"] = 411
    finished, texts = run_to_end(comfy, graph)
    assert finished.error == ""
    (file,) = [output["images"][0] for output in finished.outputs.values() if output.get("animated") == [True]]
    assert frame_count(comfy.folder / "output" / file["subfolder"] / file["filename"]) == 17
    assert not any("segment" in text for text in texts)


def test_a_workflow_file_from_before_both_inputs_loads_and_runs(
    new_tab: Callable[..., Tab], comfy: Comfy, pocket: ServingProcess, tmp_path: Path
) -> None:
    workflow = json.loads((PACK / "example_workflows" / "pocket_64x64.json").read_text(encoding="utf-8"))
    (generate,) = (item for item in workflow["nodes"] if item["type"] == "StillcueGenerateVideo")
    assert generate["widgets_values"][-2:] == [0.0, ""]
    del generate["widgets_values"][-2:]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(workflow), encoding="utf-8")
    tab = new_tab()
    tab.drop_file(old)
    tab.wait_for_node("StillcueGenerateVideo")
    assert tab.dialogs() == []
    assert [tab.widget("StillcueGenerateVideo", name) for name in ("seconds", "stages")] == [0, ""]
    tab.set_widget("StillcueServer", "address", pocket.address)
    tab.set_widget("StillcueGenerateVideo", "seed", 412)
    tab.set_widget("SaveVideo", "filename_prefix", "video/old")
    tab.run()
    tab.video()
    (saved,) = (comfy.folder / "output" / "video").glob("old_*.mp4")
    assert frame_count(saved) == 17
