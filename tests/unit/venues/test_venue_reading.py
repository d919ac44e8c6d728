"""The small parts: exact decoding, pages, windows, clocks and rests."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_loopback import NOW_MS, HandClock

from trueup.model.errors import RateLimited, Unobserved, Unreadable
from trueup.venues.limits import AccountLimits, RequestBudget, stated_wait_s
from trueup.venues.paging import WINDOW_MS, all_pages, together, windows
from trueup.venues.venue_time import VenueTime
from trueup.venues.wire import Number, decode, decoder, flag, text_or_none, time_or_none, whole


class Row(msgspec.Struct):
    x: Number = None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18))
def test_json_numbers_keep_their_digits(number: Decimal) -> None:
    text = format(number, "f")
    found = decode('{"x":' + text + "}", decoder(Row), "test").x
    assert Decimal(found) == number
    assert decode('{"x":"' + text + '"}', decoder(Row), "test").x == text


@pytest.mark.parametrize("text", ["", "<html>", '{"x":', "[]", "null", "3", '"x"', "{'x': 1}", "\x00"])
def test_what_is_not_the_answer_is_unobserved(text: str) -> None:
    with pytest.raises(Unobserved):
        decode(text, decoder(Row), "test")


@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), ("5", 5), ("-5", -5), (Decimal("5.0"), 5), (Decimal("1.76e12"), 1_760_000_000_000)]
)
def test_whole_numbers(value: object, number: int) -> None:
    assert whole(value, "x") == number


@pytest.mark.parametrize("value", [None, "", "5.5", "x", True, Decimal("5.5"), [], "٥"])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(Unreadable):
        whole(value, "x")


def test_small_words() -> None:
    assert [time_or_none(value, "x") for value in (None, "", "0", 0, "7")] == [None, None, None, None, 7]
    assert [text_or_none(value) for value in (None, "", "a", 7)] == [None, None, "a", "7"]
    assert [flag(value, "x") for value in (True, "true", "TRUE", 1, False, "false", None, "", 0)] == [True] * 4 + [
        False
    ] * 5
    with pytest.raises(Unreadable):
        flag("maybe", "x")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**5))
def test_windows_tile_without_gap(since: int, until: int, length: int) -> None:
    found = list(windows(since, until, max(length, 100)))
    assert found[0][0] == min(since, until)
    assert found[-1][1] == until
    assert all(start <= end < start + max(length, 100) for start, end in found)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(found))
    assert WINDOW_MS == 7 * 86_400_000


async def test_pages_are_read_to_the_end() -> None:
    answers: dict[str | None, tuple[list[int], str | None]] = {None: ([1, 2], "a"), "a": ([], "b"), "b": ([3], "")}

    async def read(cursor: str | None, _: str) -> tuple[list[int], str | None]:
        return answers[cursor]

    assert await all_pages(read, "test") == [1, 2, 3]


async def test_an_empty_page_that_names_itself_is_the_end() -> None:
    async def read(cursor: str | None, _: str) -> tuple[list[int], str | None]:
        return ([1], "a") if cursor is None else ([], "a")

    assert await all_pages(read, "test") == [1]


async def test_a_list_without_end_is_unobserved() -> None:
    async def read(cursor: str | None, _: str) -> tuple[list[int], str | None]:
        return [1], f"{cursor}x"

    with pytest.raises(Unobserved, match="pages"):
        await all_pages(read, "test")


async def test_the_first_failure_stops_the_others() -> None:
    stopped = asyncio.Event()

    async def waits() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return 0

    async def fails() -> int:
        await asyncio.sleep(0)
        raise Unobserved("b", "broken")

    with pytest.raises(Unobserved, match="b: broken"):
        await together(waits(), fails())
    assert stopped.is_set()


async def test_the_best_of_three_readings_counts() -> None:
    clock = HandClock()
    round_trips = iter([400, 60, 200])

    async def ask() -> int:
        trip = next(round_trips)
        clock.at_ms += trip // 2
        told = clock.at_ms + 5_000
        clock.at_ms += trip - trip // 2
        return told

    time = VenueTime(clock)
    reading = await time.measure(ask)
    assert (reading.skew_ms, reading.uncertainty_ms) == (5_000, 31)
    assert time.began_ms() == clock.at_ms + 5_000 - 31
    assert time.latest_ms() > clock.at_ms + 5_000


class SteppedClock(HandClock):
    """Its wall clock can be set; its steady one goes on."""

    step_ms = 0

    def now_ms(self) -> int:
        return self.at_ms + self.step_ms


@pytest.mark.parametrize("step_ms", [3_000, -2_500])
async def test_a_step_of_our_wall_clock_moves_no_view(step_ms: int) -> None:
    """Found by the simulation: a view 3 s ahead of the venue took a reopening for the same position."""
    clock = SteppedClock()

    async def ask() -> int:
        return clock.at_ms + 700

    time = VenueTime(clock)
    await time.measure(ask)
    clock.step_ms = step_ms
    clock.at_ms += 100_000
    true_ms = clock.at_ms + 700
    assert true_ms - 30 < time.began_ms() < true_ms < time.latest_ms() < true_ms + 1_030


async def test_a_good_reading_is_enough() -> None:
    clock = HandClock()
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        return clock.at_ms - 70

    assert (await VenueTime(clock).measure(ask)).skew_ms == -70
    assert asked == 1


async def test_a_longer_rest_stays() -> None:
    clock = HandClock()
    budget = RequestBudget("bybit", clock)
    limits = AccountLimits(budget, clock)
    budget.rest(60, "test")
    budget.rest(5, "test")
    with pytest.raises(RateLimited) as limited:
        async with limits.sending("publicGetV5MarketTime", {}, "test"):
            pytest.fail("sent")
    assert limited.value.retry_after_s == 61
    clock.at_ms += 60_000
    async with limits.sending("publicGetV5MarketTime", {}, "test"):
        assert clock.slept_s == []


def test_what_the_venue_says_to_wait() -> None:
    assert stated_wait_s({"retry-after": "17"}, "", NOW_MS) == 17
    assert stated_wait_s({}, f"IP banned until {NOW_MS + 2_500}.", NOW_MS) == 3
    assert stated_wait_s({"x-bapi-limit-reset-timestamp": str(NOW_MS - 5)}, "", NOW_MS) == 1
    assert stated_wait_s({}, "later", NOW_MS) is None
