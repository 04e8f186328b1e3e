"""The frames and video chunks of attempts that are held back until it is known which attempt is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from server.jobs.event_log import EventLog, Slot

_T = TypeVar("_T")


class HeldClips(Generic[_T]):
    """The places of messages by attempt. Their bytes count in the event log."""

    def __init__(self, log: EventLog[_T]) -> None:
        self._log = log
        self._clips: dict[int, list[Slot[_T]]] = {}

    def hold(self, attempt: int, byte_count: int) -> Slot[_T]:
        """The place of the next message of an attempt."""
        slot = self._log.hold(byte_count)
        self._clips.setdefault(attempt, []).append(slot)
        return slot

    def keep_only(self, attempt: int) -> None:
        """Drops the messages of every other attempt."""
        for number in [number for number in self._clips if number != attempt]:
            self._log.drop(self._clips.pop(number))

    def release(self, attempt: int) -> None:
        """Appends the messages of this attempt to the log, in their order, and drops all others."""
        self.keep_only(attempt)
        self._log.release(self._clips.pop(attempt, []))
