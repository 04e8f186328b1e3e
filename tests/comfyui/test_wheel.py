"""The package ``stillcue`` is missing, broken or of another version: ComfyUI starts, and the nodes say what to run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clients.comfyui.nodes import NODE_CLASS_MAPPINGS
from clients.comfyui.wheel import REQUIREMENTS, is_supported
from stillcue import __version__
from tests.comfyui.conftest import PACKS
from tests.comfyui.graphs import SERVER, capture, node
from tests.comfyui.stub_comfy import stub_comfy

if TYPE_CHECKING:
    from tests.comfyui.comfy import Comfy

_BROKEN = 'raise ImportError("this package is broken")\n'
_TOO_NEW = '__version__ = "0.2.0"\n'


@pytest.fixture
def stub_with(tmp_path: Path) -> Any:
    """Starts a stub whose package ``stillcue`` has the given content."""

    def start(content: str) -> Any:
        package = tmp_path / "packages" / "stillcue"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(content)
        return stub_comfy(tmp_path / "comfyui", PACKS, {"PYTHONPATH": str(package.parent)})

    return start


def _error_of_server_node(comfy: Comfy) -> str:
    graph = {SERVER: node("StillcueServer", address="127.0.0.1:1", tls="auto"), **capture("server", SERVER, 0)}
    return comfy.run(graph).error


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_BROKEN, r"the package stillcue cannot be imported \(this package is broken\); "),
        (_TOO_NEW, "the package stillcue has version 0.2.0, this pack needs >=0.1,<0.2; "),
    ],
    ids=["broken", "too new"],
)
def test_a_wrong_package_is_told_by_each_node_and_the_start_goes_on(stub_with: Any, content: str, reason: str) -> None:
    with stub_with(content) as comfy:
        assert NODE_CLASS_MAPPINGS.keys() <= comfy.object_info().keys()
        command = r'run: "[^"]+" -m pip install -r "[^"]+/requirements\.txt" and start ComfyUI again'
        assert re.fullmatch(reason + command, _error_of_server_node(comfy))
        assert re.fullmatch(reason + command, comfy.get("/stillcue/capabilities", address="a:1")["error"])


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
