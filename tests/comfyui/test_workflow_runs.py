"""The example workflows in ComfyUI, the stub or the real one: nodes as described, and the API form runs on pocket."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from scripts.comfyui.definitions import CORE_NODES, PACK, core_definitions, recorded
from scripts.comfyui.examples import example_workflows
from tests.comfyui.serving_process import POCKET, serving

if TYPE_CHECKING:
    from tests.comfyui.comfy import Comfy, Graph

_NAMES = [workflow.name for workflow in example_workflows()]


def _graph(name: str) -> Graph:
    graph: Graph = json.loads((PACK / "api" / f"{name}.json").read_text(encoding="utf-8"))
    return graph


@pytest.fixture(scope="module", autouse=True)
def pictures(comfy: Comfy) -> None:
    demo = PACK / "example_workflows" / "demo-picture.png"
    for name in ("demo-picture.png", "example.png"):
        shutil.copy(demo, comfy.folder / "input" / name)


def test_the_core_nodes_are_as_recorded(comfy: Comfy) -> None:
    info = comfy.object_info()
    for node_id in CORE_NODES:
        found = recorded(info[node_id])
        definition = core_definitions()[node_id]
        assert found["inputs"] == {known.name: [known.type, known.is_required] for known in definition.inputs}
        assert [kind for _, kind in found["outputs"]] == [output.type for output in definition.outputs]


@pytest.mark.parametrize("name", _NAMES)
def test_every_node_exists_with_the_inputs_that_the_workflow_gives(comfy: Comfy, name: str) -> None:
    info = comfy.object_info()
    for node in _graph(name).values():
        known = info[node["class_type"]]["input"]
        names = {**known["required"], **known.get("optional", {})}
        assert set(node["inputs"]) <= set(names)
        assert set(known["required"]) <= set(node["inputs"])


def test_the_pocket_workflow_makes_a_clip(comfy: Comfy) -> None:
    with serving("--bundle", str(POCKET)) as server:
        finished = comfy.run(_at(_graph("pocket_64x64"), server.address))
    assert finished.error == ""
    assert finished.status == "success"
    outputs = {node["class_type"]: finished.outputs.get(key, {}) for key, node in _graph("pocket_64x64").items()}
    (saved,) = outputs["SaveVideo"]["images"]
    assert (comfy.folder / "output" / saved["subfolder"] / saved["filename"]).stat().st_size > 0
    for kind in ("StillcuePreparePicture", "StillcueMatchScore", "StillcueDiagnosis"):
        assert outputs[kind]["text"][0]
    assert outputs["PreviewAny"]["text"] == ["A red car slowly rolls to the right, the scene gets darker."]


def test_the_a14b_workflow_is_accepted_and_says_what_another_model_lacks(comfy: Comfy) -> None:
    with serving("--bundle", str(POCKET)) as server:
        finished = comfy.run(_at(_graph("wan2.2_i2v_A14B"), server.address))
    assert finished.error == f"size is 832x480, but the server at {server.address} offers 64x64; choose one"


def _at(graph: dict[str, Any], address: str) -> Graph:
    for node in graph.values():
        if node["class_type"] == "StillcueServer":
            node["inputs"]["address"] = address
    return graph
