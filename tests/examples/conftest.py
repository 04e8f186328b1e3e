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
    kept = [item for item in items if _reason_against(item) is None]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if _reason_against(item) is not None])
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    gone = absent()
    for language, reason in gone.items():
        terminalreporter.write_line(f"examples/{language} did not run: {reason}")
    for toolchain in TOOLCHAINS:
        for test, reason in toolchain.untested if toolchain.language not in gone else ():
            terminalreporter.write_line(f"examples/{toolchain.language} without {test}: {reason}")


def _reason_against(item: pytest.Item) -> str | None:
    call = getattr(item, "callspec", None)
    found = call.params.get(_FIXTURE) if call is not None else None
    if not isinstance(found, Toolchain):
        return None
    return absent().get(found.language) or dict(found.untested).get(getattr(item, "originalname", ""))


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
