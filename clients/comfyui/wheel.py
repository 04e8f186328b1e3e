"""The versions of the package ``stillcue`` and of servers that this pack works with, from ``requirements.txt``."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

from .errors import NodeError

_REQUIREMENT = re.compile(r"stillcue>=([0-9.]+),<([0-9.]+)")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def require_wheel() -> None:
    """Raises ``NodeError`` with the command to run if the package is missing or of a wrong version."""
    command = f'run: "{sys.executable}" -m pip install -r "{REQUIREMENTS}" and start ComfyUI again'
    try:
        version = str(import_module("stillcue").__version__)
        import_module("grpc")
    except (ImportError, AttributeError) as error:
        raise NodeError(f"the package stillcue cannot be imported ({error}); {command}") from error
    if not is_supported(version):
        raise NodeError(f"the package stillcue has version {version}, this pack needs {requirement()}; {command}")


def check_server_version(version: str, address: str) -> None:
    """Raises ``NodeError`` if a server is older or newer than the pack can speak to."""
    if is_supported(version):
        return
    lowest, _ = _bounds()
    remedy = (
        "update the server"
        if _numbers(version) < lowest
        else "update this pack and the package stillcue in ComfyUI's Python"
    )
    raise NodeError(f"the server at {address} has version {version}, this pack works with {requirement()}; {remedy}")


def requirement() -> str:
    """Returns the versions in words, for example ``>=0.1,<0.2``."""
    return _stated().removeprefix("stillcue")


def is_supported(version: str) -> bool:
    """Returns True for a version that the pack works with; pre-releases count as their release."""
    lowest, first_too_new = _bounds()
    return lowest <= _numbers(version) < first_too_new


@cache
def _stated() -> str:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if _REQUIREMENT.fullmatch(line.strip()))


def _bounds() -> tuple[tuple[int, ...], tuple[int, ...]]:
    found = _REQUIREMENT.fullmatch(_stated())
    assert found is not None  # _stated returns such a line only
    return _numbers(found[1]), _numbers(found[2])


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version; what is missing or no number is 0."""
    numbers = [int(part) for part in re.findall(r"[0-9]+", version.split("+", maxsplit=1)[0])[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))
