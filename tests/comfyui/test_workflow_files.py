"""The example workflows: what the generator writes, whole, and made of nodes that exist with those inputs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image

from scripts.comfyui.definitions import PACK, Definition, core_definitions, pack_definitions
from scripts.comfyui.examples import example_workflows
from scripts.comfyui_workflows import workflow_files

_NAMES = [workflow.name for workflow in example_workflows()]
_INTERFACE, _API = PACK / "example_workflows", PACK / "api"
_VIRTUAL = {"MarkdownNote"}  # exists in the front end only
_PYTHON_TYPE = {"INT": int, "FLOAT": float, "STRING": str, "COMBO": str}


def _definitions() -> dict[str, Definition]:
    return {**core_definitions(), **pack_definitions()}


def _interface(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_INTERFACE / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _real_nodes(name: str) -> dict[int, dict[str, Any]]:
    return {node["id"]: node for node in _interface(name)["nodes"] if node["type"] not in _VIRTUAL}


def test_the_files_are_those_that_the_generator_writes() -> None:
    written = workflow_files()
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, "run python -m scripts.comfyui_workflows"
    assert {*_INTERFACE.glob("*.json"), *_API.glob("*.json")} == set(written)


@pytest.mark.parametrize("name", _NAMES)
def test_every_link_joins_an_output_and_an_input_of_its_type(name: str) -> None:
    nodes, definitions = _real_nodes(name), _definitions()
    links = _interface(name)["links"]
    assert [link[0] for link in links] == list(range(1, len(links) + 1))
    for number, origin, output_slot, target, input_slot, kind in links:
        output = nodes[origin]["outputs"][output_slot]
        entry = nodes[target]["inputs"][input_slot]
        assert number in output["links"]
        assert entry["link"] == number
        assert definitions[nodes[origin]["type"]].outputs[output_slot].type == kind
        assert definitions[nodes[target]["type"]].input(entry["name"]).type in {kind, "*"}
    told = {link for node in nodes.values() for output in node["outputs"] for link in output["links"] or ()}
    taken = {entry["link"] for node in nodes.values() for entry in node["inputs"]}
    assert told == taken == {link[0] for link in links}


@pytest.mark.parametrize("name", _NAMES)
def test_outputs_and_fields_stand_in_the_order_of_the_definitions(name: str) -> None:
    for node in _real_nodes(name).values():
        definition = _definitions()[node["type"]]
        assert [(output["name"], output["type"]) for output in node["outputs"]] == [
            (output.name, output.type) for output in definition.outputs
        ]
        values = iter(node["widgets_values"])
        for known in definition.inputs:
            if not known.has_widget:
                continue
            value = next(values)
            assert isinstance(value, _PYTHON_TYPE[known.type]), f"{node['type']}.{known.name} is {value!r}"
            if known.choices and known.name != "size":
                assert value in known.choices
            if known.has_control:
                assert next(values) == "fixed"
        assert list(values) == (["image"] if node["type"] == "LoadImage" else [])


@pytest.mark.parametrize("name", _NAMES)
def test_both_formats_describe_the_same_graph(name: str) -> None:
    api = json.loads((_API / f"{name}.json").read_text(encoding="utf-8"))
    assert {
        key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in api.items()
    } == _prompt_of(name)


def _prompt_of(name: str) -> dict[str, Any]:
    """What the front end sends for the interface format."""
    links = {link[0]: link for link in _interface(name)["links"]}
    prompt: dict[str, Any] = {}
    for number, node in _real_nodes(name).items():
        definition = _definitions()[node["type"]]
        values = iter(node["widgets_values"])
        inputs: dict[str, Any] = {}
        for known in definition.inputs:
            if known.has_widget:
                inputs[known.name] = next(values)
            if known.has_control:
                next(values)
        for entry in node["inputs"]:
            _, origin, slot, *_ = links[entry["link"]]
            inputs[entry["name"]] = [str(origin), slot]
        prompt[str(number)] = {"class_type": node["type"], "inputs": inputs}
    return prompt


@pytest.mark.parametrize("name", _NAMES)
def test_no_node_lies_on_another(name: str) -> None:
    boxes = [(node["type"], *node["pos"], *node["size"]) for node in _interface(name)["nodes"]]
    for index, (kind, left, top, width, height) in enumerate(boxes):
        for other, other_left, other_top, other_width, other_height in boxes[index + 1 :]:
            apart_x = left + width <= other_left or other_left + other_width <= left
            apart_y = top + height <= other_top or other_top + other_height <= top
            assert apart_x or apart_y, f"{kind} and {other} overlap"


@pytest.mark.parametrize("name", _NAMES)
def test_notes_are_in_english_and_chinese(name: str) -> None:
    notes = [node for node in _interface(name)["nodes"] if node["type"] == "MarkdownNote"]
    assert len(notes) == 6
    for note in notes:
        english, rule, chinese = note["widgets_values"][0].partition("\n\n---\n\n")
        assert rule
        assert not _has_chinese(english)
        assert _has_chinese(chinese)


def _has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("name", _NAMES)
def test_the_template_browser_finds_a_picture(name: str) -> None:
    with Image.open(_INTERFACE / f"{name}.jpg") as picture:
        assert picture.format == "JPEG"
        assert picture.width == picture.height >= 400


def test_the_picture_of_the_pocket_workflow_is_the_demo_picture() -> None:
    demo = PACK.parents[1] / "scripts" / "demo-picture.png"
    assert (_INTERFACE / "demo-picture.png").read_bytes() == demo.read_bytes()
