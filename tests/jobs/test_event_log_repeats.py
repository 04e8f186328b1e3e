"""The event log of a job that is done again: messages that the caller has are compared, and not sent."""

from __future__ import annotations

import asyncio

import pytest

from server.errors.refusals import EventsDropped
from tests.jobs.logs import Log, texts_of


async def test_repeated_messages_get_no_number_and_hold_no_byte() -> None:
    log = Log(is_resumable=True, first_number=7, repeated_count=2)
    states = [log.log.is_repeating]
    log.put("a", "b", "c", byte_count=4)
    assert (log.repeated, log.sealed, log.log.held_bytes) == (["a", "b"], [("c", 7)], 4)
    assert [*states, log.log.is_repeating] == [True, False]
    log.log.finish()
    assert await texts_of(log.log.messages(7)) == ["c"]
    with pytest.raises(EventsDropped):
        log.log.check(6)


async def test_news_that_does_not_come_again_is_numbered_between_repeated_messages() -> None:
    log = Log(is_resumable=True, first_number=7, repeated_count=2)
    log.put("a")
    for text in ("queue 2", "queue 1"):
        log.log.fill(log.log.reserve(1, is_repeatable=False), [text], 1)
    log.put("b", "c")
    assert log.repeated == ["a", "b"]
    assert log.sealed == [("queue 2", 7), ("queue 1", 8), ("c", 9)]


async def test_no_message_is_sealed_before_the_repeated_ones_are_ready() -> None:
    log = Log(is_resumable=True, first_number=1, repeated_count=2)
    slots = [log.log.reserve(10), log.log.reserve(10)]
    log.put("c")
    log.log.finish()
    reading = asyncio.create_task(texts_of(log.log.messages(1)))
    await asyncio.sleep(0)
    assert (log.sealed, log.log.unrepeated_count, log.log.is_repeating) == ([], 0, True)
    log.log.fill(slots[1], ["b"], 10)
    assert log.sealed == []
    log.log.fill(slots[0], ["a"], 10)
    assert (log.repeated, log.sealed, log.log.held_bytes) == (["b", "a"], [("c", 1)], 10)
    assert await reading == ["c"]


async def test_a_reader_waits_for_repeated_messages_after_the_end_of_the_log() -> None:
    log = Log(is_resumable=True, first_number=1, repeated_count=1)
    slot = log.log.reserve(10)
    log.log.finish()
    reading = asyncio.create_task(texts_of(log.log.messages(1)))
    await asyncio.sleep(0)
    assert not reading.done()
    log.log.fail(KeyError("differs"))
    with pytest.raises(KeyError):
        await reading
    log.log.fill(slot, ["a"], 10)
    assert (log.repeated, log.log.held_bytes) == ([], 0)


async def test_messages_that_were_held_back_are_repeated_when_they_are_released() -> None:
    log = Log(is_resumable=True, first_number=3, repeated_count=2)
    slots = [log.log.hold(10) for _ in range(3)]
    for slot, text in zip(slots, "abc", strict=True):
        log.log.fill(slot, [text], 10)
    assert (log.repeated, log.log.unrepeated_count, log.log.held_bytes) == ([], 2, 30)
    log.log.release(slots)
    assert (log.repeated, log.sealed, log.log.held_bytes) == (["a", "b"], [("c", 3)], 10)


async def test_a_log_that_fails_at_a_repeated_message_holds_nothing() -> None:
    log = Log(is_resumable=True, first_number=1, repeated_count=1)
    log.log._on_repeated = lambda _: log.log.fail(KeyError("differs"))  # as the stream does
    log.put("a", byte_count=10)
    log.put("b")
    assert (log.sealed, log.log.held_bytes) == ([], 0)
    with pytest.raises(KeyError):
        await texts_of(log.log.messages(1))
