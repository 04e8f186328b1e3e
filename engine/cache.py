"""A thread-safe cache of bounded size that drops the least recently used entries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps the most recently used entries whose sizes sum to at most ``capacity``; 0 keeps none.

    ``size_of`` gives the size of a value; by default every value has the size 1, and the capacity counts entries.
    """

    def __init__(self, capacity: int, size_of: Callable[[Value], int] = lambda _: 1) -> None:
        self._capacity = capacity
        self._size_of = size_of
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, keys: Sequence[Key]) -> dict[Key, Value]:
        """The entries of those keys that are cached."""
        with self._lock:
            found = {key: self._entries[key] for key in keys if key in self._entries}
            for key in found:
                self._entries.move_to_end(key)
            return found

    def keep(self, entries: Mapping[Key, Value]) -> None:
        """Adds entries; those that were used longest ago go. A value that is too large alone displaces no other."""
        with self._lock:
            for key, value in entries.items():
                if self._size_of(value) <= self._capacity:
                    self._replace(key, value)

    def _replace(self, key: Key, value: Value) -> None:
        if key in self._entries:
            self._size -= self._size_of(self._entries.pop(key))
        self._entries[key] = value
        self._size += self._size_of(value)
        while self._size > self._capacity:
            _, dropped = self._entries.popitem(last=False)
            self._size -= self._size_of(dropped)
