"""The event log: order, numbers, byte limit, several readers. Messages are those of ``logs``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from server.errors.refusals import BufferFull, EventsDropped
from tests.jobs.logs import Log, take, texts_of


async def test_messages_come_in_order_and_end_where_the_log_is_finished() -> None:
    log = Log()
    log.put("a", "b", "c")
    log.log.finish()
    assert log.log.is_finished
    assert await texts_of(log.log.messages()) == ["a", "b", "c"]
    assert log.sealed == [("a", 0), ("b", 1), ("c", 2)]


async def test_the_error_of_the_stream_comes_after_its_messages() -> None:
    log = Log()
    log.put("a", "b")
    log.log.finish(ValueError("first"))
    log.log.finish(KeyError("only the first call counts"))
    messages = log.log.messages()
    assert await take(messages, 2) == ["a", "b"]
    with pytest.raises(ValueError, match="first"):
        await anext(messages)


async def test_a_reserved_message_holds_up_those_behind_it() -> None:
    log = Log(is_resumable=True)
    first, second, third = (log.log.reserve(10) for _ in range(3))
    assert [slot.number for slot in (first, second, third)] == [0, 1, 2]
    log.log.fill(second, ["b"], 10)
    log.log.fill(third, ["c"], 10)
    assert log.sealed == []
    with pytest.raises(EventsDropped):
        log.log.check(1)  # nothing is sealed yet
    log.log.check(0)
    log.log.fill(first, ["a"], 10)
    assert log.sealed == [("a", 0), ("b", 1), ("c", 2)]
    log.log.check(3)
    with pytest.raises(EventsDropped):
        log.log.check(4)
    log.log.finish()
    assert await texts_of(log.log.messages(1)) == ["b", "c"]


async def test_a_finished_log_ends_after_the_messages_that_are_reserved() -> None:
    log = Log()
    slot = log.log.reserve(10)
    log.log.finish()
    reading = asyncio.create_task(texts_of(log.log.messages()))
    await asyncio.sleep(0)
    assert not reading.done()
    log.log.fill(slot, ["a"], 10)
    assert await reading == ["a"]


async def test_a_finished_log_takes_no_further_message() -> None:
    log = Log()
    log.put("a")
    log.log.finish()
    late = log.log.reserve(10)
    log.log.fill(late, ["b"], 10)
    log.put("c")
    assert log.sealed == [("a", 0)]
    assert log.log.held_bytes == 10
    assert await texts_of(log.log.messages()) == ["a"]


async def test_a_reader_waits_for_every_message_and_for_the_end() -> None:
    log = Log()
    reading = asyncio.create_task(texts_of(log.log.messages()))
    for text in "ab":
        await asyncio.sleep(0)
        log.put(text)
    await asyncio.sleep(0)
    assert not reading.done()
    log.log.finish()
    assert await reading == ["a", "b"]


async def test_read_messages_of_a_stream_that_cannot_be_resumed_are_dropped() -> None:
    log = Log()
    log.put("a", byte_count=1)
    log.put("b", byte_count=2)
    log.put("c", byte_count=4)
    assert log.log.held_bytes == 7
    messages = log.log.messages()
    assert await take(messages, 1) == ["a"]
    assert log.log.held_bytes == 6
    assert await take(messages, 1) == ["b"]
    assert log.log.held_bytes == 4
    with pytest.raises(EventsDropped):
        log.log.check(1)
    log.log.check(2)


async def test_read_messages_of_a_resumable_stream_are_kept_for_a_further_reader() -> None:
    log = Log(is_resumable=True)
    log.put("a", "b", "c")
    log.log.finish()
    assert await texts_of(log.log.messages()) == ["a", "b", "c"]
    assert log.log.held_bytes == 30
    assert await texts_of(log.log.messages(0)) == ["a", "b", "c"]
    assert await texts_of(log.log.messages(2)) == ["c"]
    assert await texts_of(log.log.messages(3)) == []
    assert log.sealed == [("a", 0), ("b", 1), ("c", 2)]  # once each, so that every reader gets the same bytes


async def test_a_message_holds_what_was_reserved_until_it_is_ready() -> None:
    log = Log()
    slot = log.log.reserve(50)
    assert (log.log.held_bytes, slot.byte_count) == (50, 50)
    log.log.fill(slot, ["a"], 7)
    assert (log.log.held_bytes, slot.byte_count) == (7, 7)


async def test_a_full_log_drops_the_oldest_message_that_was_read() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    log.put("a", "b", "c")
    messages = log.log.messages()
    assert await take(messages, 2) == ["a", "b"]
    log.put("d")
    assert log.log.held_bytes == 30
    log.log.check(1)
    with pytest.raises(EventsDropped):
        log.log.check(0)
    log.put("e")
    log.log.check(2)
    with pytest.raises(EventsDropped):
        log.log.check(1)
    assert log.overflow_count == 0
    log.log.finish()
    assert await texts_of(messages) == ["c", "d", "e"]


async def test_a_full_log_without_a_reader_keeps_what_was_never_read() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    log.put("a", "b", "c")
    messages = log.log.messages()
    assert await take(messages, 2) == ["a", "b"]
    await messages.aclose()
    log.put("d", "e")
    log.log.check(2)
    assert (log.log.held_bytes, log.overflow_count) == (30, 0)
    log.put("f")
    assert (log.log.held_bytes, log.overflow_count) == (0, 1)
    assert log.log.is_finished
    with pytest.raises(EventsDropped):
        log.log.check(2)


async def test_the_furthest_reader_decides_what_a_log_without_a_reader_may_drop() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    log.put("a", "b", "c")
    for first_number, count in ((0, 3), (0, 1)):
        async with aclosing(log.log.messages(first_number)) as messages:
            await take(messages, count)
    log.put("d", "e", "f")
    assert (log.log.held_bytes, log.overflow_count) == (30, 0)
    log.log.check(3)


async def test_a_log_fills_up_to_its_limit_and_fails_beyond_it() -> None:
    log = Log(max_bytes=30)
    log.put("a", "b", "c")
    assert (log.log.held_bytes, log.overflow_count) == (30, 0)
    messages = log.log.messages()
    log.put("d", byte_count=1)
    assert (log.log.held_bytes, log.overflow_count) == (0, 1)
    with pytest.raises(BufferFull, match="more than 30 bytes"):
        await anext(messages)


async def test_the_only_reader_fails_together_with_the_log() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    messages = log.log.messages()
    log.put("a")
    assert await take(messages, 1) == ["a"]
    log.put("b", "c", "d")  # "a" goes, since it was read
    assert (log.log.held_bytes, log.overflow_count) == (30, 0)
    log.put("e")
    assert (log.log.held_bytes, log.overflow_count) == (0, 1)
    with pytest.raises(BufferFull, match="more than 30 bytes"):
        await anext(messages)


async def test_the_only_reader_fails_together_with_the_log_even_if_an_earlier_one_got_further() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    log.put("a", "b", "c")
    async with aclosing(log.log.messages()) as earlier:
        await take(earlier, 3)
    messages = log.log.messages()
    assert await take(messages, 1) == ["a"]
    log.put("d")
    log.put("e")
    assert (log.log.held_bytes, log.overflow_count) == (0, 1)
    with pytest.raises(BufferFull):
        await anext(messages)


async def test_of_several_readers_the_slowest_loses_its_stream() -> None:
    log = Log(max_bytes=30, is_resumable=True)
    log.put("a", "b", "c")
    slow, middle, fast = (log.log.messages() for _ in range(3))
    assert await take(slow, 1) == ["a"]
    assert await take(fast, 3) == ["a", "b", "c"]
    assert await take(middle, 2) == ["a", "b"]
    log.put("d")  # every reader has passed "a"
    assert log.overflow_count == 0
    log.put("e")  # "slow" has not passed "b"
    with pytest.raises(BufferFull, match="more than 30 bytes"):
        await anext(slow)
    assert log.overflow_count == 0
    log.put("f")  # "middle" has not passed "c"
    with pytest.raises(BufferFull):
        await anext(middle)
    assert (log.log.held_bytes, log.overflow_count) == (30, 0)
    log.log.finish()
    assert await texts_of(fast) == ["d", "e", "f"]


async def test_readers_that_wait_for_a_reserved_message_fail_together_with_the_log() -> None:
    log = Log(max_bytes=20, is_resumable=True)
    log.put("a")
    readers = [log.log.messages() for _ in range(2)]
    assert [await take(reader, 1) for reader in readers] == [["a"], ["a"]]
    waiting = [asyncio.create_task(texts_of(reader)) for reader in readers]
    late = log.log.reserve(10)
    await asyncio.sleep(0)
    log.put("c")  # "a" goes
    assert (log.log.held_bytes, log.overflow_count) == (20, 0)
    log.put("d")
    assert (log.log.held_bytes, log.overflow_count) == (0, 1)
    for reading in waiting:
        with pytest.raises(BufferFull):
            await asyncio.wait_for(reading, 1)
    log.log.fill(late, ["b"], 10)
    assert log.sealed == [("a", 0)]


async def test_a_reader_that_begins_at_a_dropped_message_is_told_so() -> None:
    log = Log(max_bytes=20, is_resumable=True)
    log.put("a", "b")
    async with aclosing(log.log.messages()) as messages:
        await take(messages, 2)
        log.put("c")
        with pytest.raises(EventsDropped):
            await asyncio.wait_for(anext(log.log.messages(0)), 1)
        log.log.finish()
        with pytest.raises(EventsDropped):
            await asyncio.wait_for(anext(log.log.messages(0)), 1)
        assert await texts_of(messages) == ["c"]


async def test_a_failed_log_drops_its_messages_and_gives_readers_the_error() -> None:
    log = Log(is_resumable=True)
    log.put("a", "b")
    slot = log.log.reserve(10)
    messages = log.log.messages()
    assert await take(messages, 1) == ["a"]
    waiting = asyncio.create_task(texts_of(log.log.messages(2)))
    await asyncio.sleep(0)
    log.log.fail(ValueError("over"))
    assert (log.log.held_bytes, log.log.is_finished, log.overflow_count) == (0, True, 0)
    for reading in (texts_of(messages), waiting, texts_of(log.log.messages(3))):
        with pytest.raises(ValueError, match="over"):
            await asyncio.wait_for(reading, 1)
    log.log.fill(slot, ["c"], 10)
    log.put("d")
    assert (log.log.held_bytes, len(log.sealed)) == (0, 2)
    log.log.check(3)
    for number in (2, 4):
        with pytest.raises(EventsDropped):
            log.log.check(number)


async def test_a_slot_whose_place_was_dropped_is_not_filled_again() -> None:
    log = Log()
    slot = log.log.reserve(10)
    log.log.fill(slot, ["a"], 10)
    assert await take(log.log.messages(), 1) == ["a"]
    log.log.fill(slot, ["again"], 10)
    assert log.log.held_bytes == 0
    assert log.sealed == [("a", 0)]


async def test_a_reader_that_leaves_holds_up_no_message() -> None:
    log = Log(max_bytes=20, is_resumable=True)
    log.put("a", "b")
    fast, slow = log.log.messages(), log.log.messages()
    await take(fast, 2)
    await take(slow, 1)
    await slow.aclose()
    log.put("c", "d")
    assert log.overflow_count == 0
    assert await take(fast, 2) == ["c", "d"]


async def test_messages_that_are_held_back_get_their_numbers_when_they_are_released() -> None:
    log = Log(is_resumable=True)
    log.put("a", byte_count=1)
    first, second, third = (log.log.hold(10) for _ in range(3))
    log.log.fill(first, ["b"], 2)
    log.log.fill(third, ["d"], 8)
    log.put("e", byte_count=4)
    assert log.log.held_bytes == 1 + 2 + 10 + 8 + 4
    assert log.sealed == [("a", 0), ("e", 1)]
    log.log.release([first, second, third])
    assert log.sealed[2:] == [("b", 2)]
    log.put("f", byte_count=16)
    log.log.fill(second, ["c"], 3)
    assert log.sealed[3:] == [("c", 3), ("d", 4), ("f", 5)]
    assert log.log.held_bytes == 1 + 2 + 3 + 8 + 4 + 16
    log.log.finish()
    assert await texts_of(log.log.messages()) == ["a", "e", "b", "c", "d", "f"]


async def test_messages_that_are_dropped_hold_no_byte_and_take_no_number() -> None:
    log = Log()
    first, second = log.log.hold(10), log.log.hold(20)
    log.log.fill(first, ["a"], 5)
    log.log.drop([first, second])
    assert log.log.held_bytes == 0
    log.log.fill(second, ["b"], 7)  # its encoding was under way
    log.log.release([first, second])
    assert log.log.held_bytes == 0
    log.put("c")
    assert log.sealed == [("c", 0)]


@pytest.mark.parametrize("is_failed", [True, False])
async def test_the_end_of_a_log_drops_what_is_held_back(is_failed: bool) -> None:
    log = Log()
    slot = log.log.hold(10)
    if is_failed:
        log.log.fail(ValueError())
    else:
        log.log.finish(ValueError())
    log.log.fill(slot, ["a"], 10)
    log.log.release([slot])
    late = log.log.hold(10)
    log.log.fill(late, ["b"], 10)
    assert (log.log.held_bytes, log.sealed) == (0, [])


async def test_messages_that_are_held_back_count_towards_the_limit() -> None:
    log = Log(max_bytes=30)
    log.log.hold(25)
    messages = log.log.messages()
    log.put("a", byte_count=5)
    assert await take(messages, 1) == ["a"]
    assert log.overflow_count == 0
    log.log.hold(6)
    assert log.overflow_count == 1
    with pytest.raises(BufferFull):
        await anext(messages)
    assert log.log.held_bytes == 0
