"""The package ``stillcue`` is missing, broken or of another version: ComfyUI starts, and the nodes say what to run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from clients.comfyui.nodes import NODE_CLASS_MAPPINGS
from clients.comfyui.wheel import REQUIREMENTS, is_supported
from stillcue import __version__
from tests.comfyui.conftest import PACKS
from tests.comfyui.graphs import SERVER, capture, node
from tests.comfyui.stub_comfy import stub_comfy

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND = r'run: "[^"]+" -m pip install -r "[^"]+/requirements\.txt" and start ComfyUI again'
# What the package holds, and what the nodes then say; the last one stays imported.
_PACKAGES = {
    'raise ImportError("this package is broken")': r"cannot be imported \(this package is broken\)",
    '__version__ = "0.2.0"': "has version 0.2.0, this pack needs >=0.1,<0.2",
}


def test_a_wrong_package_is_told_by_each_node_and_the_start_goes_on(tmp_path: Path) -> None:
    package = tmp_path / "packages" / "stillcue" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ImportError\n")
    graph = {SERVER: node("StillcueServer", address="127.0.0.1:1", tls="auto"), **capture("server", SERVER, 0)}
    with stub_comfy(tmp_path / "comfyui", PACKS, {"PYTHONPATH": str(package.parents[1])}) as comfy:
        assert NODE_CLASS_MAPPINGS.keys() <= comfy.object_info().keys()
        for content, reason in _PACKAGES.items():
            package.write_text(content)  # a module that cannot be imported is looked for again
            expected = f"the package stillcue {reason}; {_COMMAND}"
            assert re.fullmatch(expected, comfy.run(graph).error)
            assert re.fullmatch(expected, comfy.get("/stillcue/capabilities", address="a:1")["error"])


@pytest.mark.parametrize(
    ("version", "is_right"),
    [
        ("0.1.0", True),
        ("0.1", True),
        ("0.1.9", True),
        ("0.1.1rc1+local.7", True),
        ("0.0.9", False),
        ("0.2", False),
        ("0.2.0", False),
        ("1.0", False),
        ("", False),
    ],
)
def test_versions_in_and_beside_the_range(version: str, is_right: bool) -> None:
    assert is_supported(version) is is_right


def test_this_repository_is_in_the_range_of_its_pack() -> None:
    assert is_supported(__version__)
    assert REQUIREMENTS.read_text().strip() == "stillcue>=0.1,<0.2"
