"""Batches the calls of several threads into one call.

No call waits for others to join: a thread that finds no call running calls at once, with its own rows. Threads that
arrive during a call wait for its end; the first of them then calls with the rows of all of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.runtime.base import Array

Call = Callable[[Array], tuple[Array, ...]]  # rows [n, ...] to results with n rows each


@dataclass(eq=False)
class _Ticket:
    """The rows of one thread, and their results or the error of the call."""

    rows: Array
    results: list[tuple[Array, ...]] = field(default_factory=list)
    done_row_count: int = 0
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or self.done_row_count == len(self.rows)


class Batcher:
    """Calls ``call`` for one thread at a time, with at most ``largest`` rows."""

    def __init__(self, call: Call, largest: int) -> None:
        self._call = call
        self._largest = largest
        self._waiting: deque[_Ticket] = deque()
        self._guard = threading.Lock()  # of the queue
        self._turn = threading.Lock()  # of the call

    def run(self, rows: Array) -> tuple[Array, ...]:
        """The results of ``call`` for these rows.

        Raises what ``call`` raised for a batch that these rows were part of.
        """
        ticket = _Ticket(rows)
        with self._guard:
            self._waiting.append(ticket)
        while not ticket.is_done:
            with self._turn:
                if not ticket.is_done:
                    self._serve()
        if ticket.error is not None:
            raise ticket.error
        parts = zip(*ticket.results, strict=True)
        return tuple(np.concatenate(part) for part in parts)

    def _serve(self) -> None:
        """One call with the rows that have waited longest."""
        taken: list[tuple[_Ticket, Array]] = []
        room = self._largest
        with self._guard:
            while self._waiting and room:
                ticket = self._waiting[0]
                rows = ticket.rows[ticket.done_row_count : ticket.done_row_count + room]
                taken.append((ticket, rows))
                room -= len(rows)
                if ticket.done_row_count + len(rows) < len(ticket.rows):
                    break
                self._waiting.popleft()
        try:
            results = self._call(np.concatenate([rows for _, rows in taken]))
        except BaseException as error:  # noqa: BLE001 - every thread whose rows were in the call raises it
            self._fail([ticket for ticket, _ in taken], error)
            return
        start = 0
        for ticket, rows in taken:
            end = start + len(rows)
            ticket.results.append(tuple(result[start:end] for result in results))
            ticket.done_row_count += len(rows)
            start = end

    def _fail(self, tickets: list[_Ticket], error: BaseException) -> None:
        with self._guard:
            for ticket in tickets:
                ticket.error = error
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
