"""Builds each example once a run. Languages without a toolchain here are deselected, and named at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.examples.toolchains import REQUIRED, TOOLCHAINS, Toolchain, absent, required

if TYPE_CHECKING:
    from pathlib import Path

_FIXTURE = "program"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gone = absent()
    if lacking := sorted(required() & gone.keys()):
        raise pytest.UsageError("\n".join(f"{REQUIRED} names {name}: {gone[name]}" for name in lacking))
    deselected = [item for item in items if _language(item) in gone]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if _language(item) not in gone]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for language, reason in absent().items():
        terminalreporter.write_line(f"examples/{language} did not run: {reason}")


def _language(item: pytest.Item) -> str:
    call = getattr(item, "callspec", None)
    found = call.params.get(_FIXTURE) if call is not None else None
    return found.language if isinstance(found, Toolchain) else ""


@pytest.fixture(scope="session", params=TOOLCHAINS, ids=lambda item: item.language)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that start an example, which was built for this run."""
    toolchain: Toolchain = request.param
    base = tmp_path_factory.getbasetemp()
    done: Path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"built-{toolchain.language}"
    with FileLock(done.with_suffix(".lock")):
        if not done.exists():
            toolchain.build()
            done.touch()
    return toolchain.command
