"""An event log of messages that are texts, sealed as ``(text, number)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.jobs.event_log import EventLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Text = list[str]  # a message that can be sealed in place


class Log:
    """An event log of ``[text]`` messages, and what it called."""

    def __init__(
        self, max_bytes: int = 100, *, is_resumable: bool = False, first_number: int = 0, repeated_count: int = 0
    ) -> None:
        self.sealed: list[tuple[str, int]] = []
        self.repeated: list[str] = []
        self.overflow_count = 0
        self.log: EventLog[Text] = EventLog(
            max_bytes,
            is_resumable=is_resumable,
            seal=self._seal,
            on_overflow=self._overflow,
            first_number=first_number,
            repeated_count=repeated_count,
            on_repeated=lambda message: self.repeated.append(message[0]),
        )

    def _seal(self, message: Text, number: int) -> None:
        self.sealed.append((message[0], number))

    def _overflow(self) -> None:
        self.overflow_count += 1

    def put(self, *texts: str, byte_count: int = 10) -> None:
        for text in texts:
            self.log.put([text], byte_count)


async def texts_of(messages: AsyncGenerator[Text, None]) -> list[str]:
    return [message[0] async for message in messages]


async def take(messages: AsyncGenerator[Text, None], count: int) -> list[str]:
    return [(await anext(messages))[0] for _ in range(count)]
