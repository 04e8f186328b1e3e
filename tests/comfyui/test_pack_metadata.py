"""The pack's metadata for ComfyUI's registry: versions agree with the wheel's, and every error of a node is listed."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement

import server
import stillcue
from scripts.comfyui.definitions import PACK

_READMES = ("README.md", "README.zh.md")


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_pack_has_the_version_of_the_wheel_and_works_with_it_and_this_server() -> None:
    project = _pyproject()["project"]
    requirement = Requirement(project["dependencies"][0])
    assert project["version"] == stillcue.__version__
    assert requirement.name == "stillcue"
    assert requirement.specifier.contains(stillcue.__version__)
    assert requirement.specifier.contains(server.__version__)
    # A new minor version may change what the pack relies on: the range ends before it.
    major, minor, _ = stillcue.__version__.split(".")
    assert not requirement.specifier.contains(f"{major}.{int(minor) + 1}.0")


def test_both_files_of_requirements_say_the_same() -> None:
    lines = (PACK / "requirements.txt").read_text(encoding="utf-8").split("\n")
    assert [line for line in lines if line and not line.startswith("#")] == _pyproject()["project"]["dependencies"]


def test_the_registry_finds_its_keys() -> None:
    content = _pyproject()
    assert re.fullmatch(r"[a-z][a-z0-9_.-]{0,99}", content["project"]["name"])
    assert "comfyui" not in content["project"]["name"]
    assert content["project"]["license"] == {"text": "Apache-2.0"}
    assert set(content["tool"]["comfy"]) == {"PublisherId", "DisplayName", "requires-comfyui"}


@pytest.mark.parametrize("name", _READMES)
def test_the_readme_lists_every_error_of_the_nodes(name: str) -> None:
    listed = re.findall(r"^\| (.+?) \|", (PACK / name).read_text(encoding="utf-8"), re.MULTILINE)[1:]
    sentences = _sentences()
    assert [sentence for sentence in sentences if not any(part in sentence for part in listed)] == []
    assert [part for part in listed if not any(part in sentence for sentence in sentences)] == []


def test_both_readmes_list_the_same_errors() -> None:
    english, chinese = (
        re.findall(r"^\| (.+?) \|", (PACK / name).read_text(encoding="utf-8"), re.MULTILINE)[1:] for name in _READMES
    )
    assert english == chinese


def _sentences() -> list[str]:
    """The messages of every ``NodeError`` of the pack and the remedies of the client's errors, values as “…”."""
    sentences: list[str] = []
    for path in sorted(PACK.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NodeError":
                message = _template(node.args[0])
                sentences += [message] if message.strip("…") else []
            elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "_REMEDY_BY_ERROR":
                assert isinstance(node.value, ast.Dict)
                sentences += [re.sub(r"\{\w+\}", "…", _template(value)) for value in node.value.values]
    return sentences


def _template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    return "…"
