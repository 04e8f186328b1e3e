"""The order of tests, so that the processes of a parallel run do not wait for each other's bundles.

An export takes a minute or more, and a second process that needs the same bundle would wait for it. Each of two
processes begins with the first test of one bundle, and comes to the others of that bundle at the end. xdist gives the
first half of the tests, rounded down, to the first process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED_BUNDLES = ("tiny_bundle", "tiny_5b_bundle")


def ordered(tests: Sequence[tuple[str, ...]]) -> list[int]:
    """The order of tests, by index; each test is given by the names of its fixtures."""
    waiting: dict[str, list[int]] = {name: [] for name in SHARED_BUNDLES}
    others: list[int] = []
    for index, fixtures in enumerate(tests):
        needed = next((name for name in SHARED_BUNDLES if name in fixtures), None)
        (waiting[needed] if needed else others).append(index)
    firsts = [[indices.pop(0)] if indices else [] for indices in waiting.values()]
    late = [index for indices in waiting.values() for index in indices]
    half = max(len(tests) // 2 - len(late) // 2 - len(firsts[0]), 0)
    return [
        *firsts[0],
        *others[:half],
        *late[: len(late) // 2],
        *firsts[1],
        *others[half:],
        *late[len(late) // 2 :],
    ]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    fixtures = [tuple(getattr(item, "fixturenames", ())) for item in items]
    items[:] = [items[index] for index in ordered(fixtures)]
