"""A thread-safe cache of bounded size that drops the least recently used entries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps the ``entry_count`` most recently used entries; 0 keeps none."""

    def __init__(self, entry_count: int) -> None:
        self._entry_count = entry_count
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, keys: Sequence[Key]) -> dict[Key, Value]:
        """The entries of those keys that are cached."""
        with self._lock:
            found = {key: self._entries[key] for key in keys if key in self._entries}
            for key in found:
                self._entries.move_to_end(key)
            return found

    def keep(self, entries: Mapping[Key, Value]) -> None:
        """Adds entries; those that were used longest ago go."""
        with self._lock:
            self._entries.update(entries)
            while len(self._entries) > self._entry_count:
                self._entries.popitem(last=False)
