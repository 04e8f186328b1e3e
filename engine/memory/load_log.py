"""Tells in the log which graphs took long to load. A model of true size loads for minutes."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable

from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Graph

_log = logging.getLogger(__name__)
_LONG_SECONDS = 1.0


class LoggedLoad:
    """Loads graphs with ``load``, on any thread, and counts them out of ``graph_count``."""

    def __init__(self, load: Callable[[GraphSpec], Graph], graph_count: int) -> None:
        self._load = load
        self._graph_count = graph_count
        self._numbers = itertools.count(1)

    def __call__(self, spec: GraphSpec) -> Graph:
        """Loads a graph. Raises what ``load`` raises."""
        started_at = time.monotonic()
        graph = self._load(spec)
        number, seconds = next(self._numbers), time.monotonic() - started_at
        if seconds >= _LONG_SECONDS:
            _log.info("loading graphs: %d of %d, %s in %.1f s", number, self._graph_count, spec.file, seconds)
        return graph
