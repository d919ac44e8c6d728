"""A follower over a feed and a venue that a test plays (numbers: invariants of engine/following.py and engine/prices.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from telling_parts import TIMING, Desk, open_desk

from trueup.core.trailing import TrailingPolicy
from trueup.engine.following import Follower
from trueup.engine.prices import PriceWatch
from trueup.engine.settings import TrailingKind, TrailingPlan
from trueup.engine.trailing import KeptTriggers, SmartTrailingStopManager
from trueup.model.changes import ChangeSet, ClosePosition, NewPosition, UpdatePosition
from trueup.model.errors import StoreUnavailable, UnknownSymbol, Unobserved
from trueup.model.orders import Side
from trueup.model.positions import AccountMode, CloseDetails, Evidence, ExitReason, Origin, Position, PositionKey
from trueup.model.stream import DownKind, MarkPrice, PriceEvent, StreamDown, StreamUnreadable, StreamUp
from trueup.model.trailing import TrailingPhase, TrailingRecord
from trueup.ports import Store


async def kept_trigger(store: Store, row: Position) -> Decimal | None:
    return await KeptTriggers(store, row.account).of(row)


BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
POLICY = TrailingPolicy(activation_percent=Decimal("1.5"), callback_percent=Decimal("0.5"), min_interval_ms=1_000)


class PlayedFeed:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.symbols: frozenset[str] = frozenset()
        self.unknown: set[str] = set()
        self.said: asyncio.Queue[PriceEvent] = asyncio.Queue()
        self.closed = False

    async def subscribe(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            if symbol in self.unknown:
                raise UnknownSymbol(f"{symbol}: not in the market list")
        self.symbols |= frozenset(symbols)

    async def unsubscribe(self, symbols: Iterable[str]) -> None:
        self.symbols -= frozenset(symbols)

    def start(self) -> None:
        """Nothing to connect."""

    async def aclose(self) -> None:
        self.closed = True

    async def __aiter__(self) -> AsyncIterator[PriceEvent]:
        while True:
            yield await self.said.get()
            self.said.task_done()


@dataclass
class PlayedVenue:
    """Mark prices by request, or a refusal."""

    marks: dict[str, str] = field(default_factory=dict)
    failing: bool = False
    asked: int = 0

    async def catalog(self) -> Any:
        return SimpleNamespace(get=lambda _: SimpleNamespace(price_tick=Decimal("0.1")))

    async def positions(self, symbol: str | None = None) -> Any:
        self.asked += 1
        if self.failing:
            raise Unobserved("positions", "no answer")
        reports = [SimpleNamespace(symbol=name, mark_price=Decimal(mark)) for name, mark in self.marks.items()]
        return SimpleNamespace(reports=reports)


@dataclass
class Stage:
    desk: Desk
    feed: PlayedFeed
    venue: PlayedVenue
    manager: SmartTrailingStopManager
    follower: Follower
    prices: PriceWatch

    async def say(self, *events: PriceEvent) -> None:
        """What the feed says, and a round after it."""
        for event in events:
            self.feed.said.put_nowait(event)
        await self.feed.said.join()
        await self.round()

    async def price(self, value: str, *, after_s: float = 1.0, symbol: str = BTC) -> None:
        self.desk.clock.at_ms += round(after_s * 1000)
        await self.say(MarkPrice(symbol=symbol, price=Decimal(value), at_ms=0))

    async def round(self) -> None:
        await self.follower.step(self.desk.owner, self.prices)
        await self.reload()

    async def reload(self) -> None:
        book = await self.desk.store.active("main")
        self.manager.restore(book.positions, await self.desk.store.trailing("main"))

    async def open(self, symbol: str = BTC, side: Side = Side.LONG, origin: Origin = Origin.BOT) -> Position:
        new = NewPosition(
            key=PositionKey("main", symbol, side),
            venue="bybit",
            origin=origin,
            quantity=Decimal(1),
            contract_size=Decimal(1),
            entry_price=Decimal(100),
            opened_at_ms=self.desk.clock.now_ms(),
        )
        done = await self.desk.store.commit(self.desk.owner, ChangeSet(account="main", now_ms=0, opens=(new,)))
        await self.reload()
        row = await self.desk.store.position(done.position_ids[0])
        assert row is not None
        return row

    async def events(self, kind: str) -> list[dict[str, Any]]:
        return [cast("dict[str, Any]", e.data) for e in await self.desk.store.events(type=kind)]


async def staged(desk: Desk, venue: PlayedVenue | None = None, feed: PlayedFeed | None = None) -> Stage:
    """As a process that just started on that store."""
    feed, venue = feed or PlayedFeed(), venue or PlayedVenue()
    manager = SmartTrailingStopManager("main", desk.plan)
    follower = Follower(
        desk.plan, TIMING, manager, cast("Any", venue), desk.store, desk.clock, lambda _: cast("Any", feed)
    )
    prices = PriceWatch(cast("Any", feed), cast("Any", venue), desk.clock, TIMING, follower.heard)
    stage = Stage(desk, feed, venue, manager, follower, prices)
    await stage.reload()
    manager.drive(True)
    return stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    desk = await open_desk(mode=AccountMode.PROTECT, trailing=TrailingPlan(kind=TrailingKind.OWN, policy=POLICY))
    made = await staged(desk)
    async with made.prices:
        yield made


UP = StreamUp(at_ms=0)
DOWN = StreamDown(at_ms=0, kind=DownKind.CLOSED, why="cut")


async def test_it_follows_activates_and_ratchets_and_every_move_is_committed_before_it_is_acted_on(
    stage: Stage,
) -> None:
    row = await stage.open()
    await stage.round()
    assert stage.feed.symbols == {BTC}
    await stage.say(UP)
    await stage.price("101")
    assert await kept_trigger(stage.desk.store, row) is None
    told: list[None] = []
    stage.follower.on_move = lambda: told.append(None)
    await stage.price("102")
    assert len(told) == 1
    assert await kept_trigger(stage.desk.store, row) == Decimal("101.5")
    [kept] = await stage.desk.store.positions()
    assert (kept.has_trailing_stop, kept.trailing_activated) == (True, True)
    [activated] = await stage.events("TRAILING_STOP_ACTIVATED")
    assert activated["trigger_price"] == "101.5"
    await stage.price("104")
    assert await kept_trigger(stage.desk.store, row) == Decimal("103.5")
    await stage.price("103.6")
    assert await kept_trigger(stage.desk.store, row) == Decimal("103.5")
    await stage.price("103.4")
    [fired] = await stage.events("TRAILING_STOP_TRIGGERED")
    assert fired["trigger_price"] == "103.5"
    assert stage.manager.health.moves == 2


async def test_a_spike_between_two_rounds_is_not_lost(stage: Stage) -> None:
    row = await stage.open()
    await stage.round()
    spike = [MarkPrice(symbol=BTC, price=Decimal(text), at_ms=0) for text in ("102", "110", "109.9")]
    await stage.say(UP, *spike)
    stop = stage.manager.trailing_stops[row.key]
    assert stop.state.peak_price == Decimal(110)


async def test_a_move_that_waited_for_its_interval_is_made_without_a_new_price(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.price("102")
    await stage.price("104", after_s=0.1)
    assert await kept_trigger(stage.desk.store, row) == Decimal("101.5")
    stage.desk.clock.at_ms += 1_000
    await stage.round()
    assert await kept_trigger(stage.desk.store, row) == Decimal("103.5")


async def test_2_a_restart_continues_from_the_kept_peak(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.price("104")
    later = await staged(stage.desk)
    async with later.prices:
        assert later.manager.trailing_stops[row.key].state.peak_price == Decimal(104)
        assert later.manager.trailing_stops[row.key].activated
        await later.say(UP)
        await later.price("103.6")
        assert await kept_trigger(later.desk.store, row) == Decimal("103.5")
        await later.price("106")
        assert await kept_trigger(later.desk.store, row) == Decimal("105.5")
    assert len(await stage.events("TRAILING_STOP_ACTIVATED")) == 1


async def test_2_peaks_that_move_nothing_are_written_at_a_bounded_rate(stage: Stage) -> None:
    await stage.open()
    await stage.say(UP)
    saved = set()
    for tenth in range(100):
        await stage.price(f"100.{tenth:03d}", after_s=0.1)
        [record] = await stage.desk.store.trailing("main")
        saved.add(record.saved_at_ms)
    assert len(saved) == 2


async def test_3_a_dead_feed_is_told_prices_come_by_request_and_the_end_is_told(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.price("102")
    assert stage.manager.health.fed
    stage.venue.marks[BTC] = "104"
    await stage.say(DOWN)
    assert not stage.manager.health.fed
    for _ in range(24):
        stage.desk.clock.at_ms += 500
        await stage.round()
    assert await kept_trigger(stage.desk.store, row) == Decimal("103.5")
    assert stage.venue.asked == 3, "every five seconds, not every round"
    [down] = await stage.events("PRICE_FEED_DOWN")
    assert (down["fallback"], down["problem"], down["following"]) == ("requests", "closed: cut", 1)
    stage.venue.failing = True
    for _ in range(24):
        stage.desk.clock.at_ms += 500
        await stage.round()
    assert [d["fallback"] for d in await stage.events("PRICE_FEED_DOWN")] == ["requests", "none"]
    await stage.say(UP)
    assert len(await stage.events("PRICE_FEED_UP_AGAIN")) == 1
    assert len(await stage.desk.notices()) == 3
    assert stage.manager.health.fed


async def test_3_a_short_cut_is_not_told(stage: Stage) -> None:
    await stage.open()
    await stage.say(UP)
    await stage.say(DOWN)
    stage.desk.clock.at_ms += 5_000
    await stage.round()
    await stage.say(UP)
    stage.desk.clock.at_ms += 9_000
    await stage.price("100")
    assert await stage.desk.types() == []


async def test_2_a_stream_that_stands_still_is_dead_only_if_the_price_moves(stage: Stage) -> None:
    await stage.open()
    await stage.say(UP)
    await stage.price("100")
    stage.venue.marks[BTC] = "100.0"
    stage.desk.clock.at_ms += 20_000
    await stage.round()
    assert stage.venue.asked == 1
    assert stage.prices.problem is None
    stage.venue.marks[BTC] = "100.3"
    stage.desk.clock.at_ms += 20_000
    await stage.round()
    assert stage.prices.problem is not None
    assert "the price moves" in stage.prices.problem
    await stage.price("100.4")
    assert stage.prices.problem is None


async def test_a_symbol_that_the_stream_refuses_is_asked_for(stage: Stage) -> None:
    stage.feed.unknown.add(ETH)
    stage.venue.marks = {BTC: "100", ETH: "100"}
    await stage.open()
    eth = await stage.open(ETH)
    await stage.say(UP)
    await stage.price("100")
    stage.venue.marks[ETH] = "104"
    stage.desk.clock.at_ms += 6_000
    await stage.price("100")
    assert await kept_trigger(stage.desk.store, eth) == Decimal("103.5")
    assert stage.prices.problem == f"{ETH}: {ETH}: not in the market list"
    await stage.say(StreamUnreadable(at_ms=0, problem="no such stream", symbol=BTC))
    assert stage.prices.problem == f"{BTC}: no such stream"


async def test_suspected_adopted_and_unpriced_positions_are_not_moved(stage: Stage) -> None:
    row = await stage.open()
    adopted = await stage.open(ETH, origin=Origin.ADOPTED)
    await stage.say(UP)
    suspected = UpdatePosition(position_id=row.position_id, version=row.version, suspected_since_ms=1)
    await stage.desk.store.commit(stage.desk.owner, ChangeSet(account="main", now_ms=0, updates=(suspected,)))
    await stage.reload()
    await stage.price("110")
    await stage.price("110", symbol=ETH)
    assert await stage.desk.store.trailing("main") == []
    assert await kept_trigger(stage.desk.store, adopted) is None
    now = await stage.desk.store.position(row.position_id)
    assert now is not None
    clear = UpdatePosition(position_id=row.position_id, version=now.version, clear=("suspected_since_ms",))
    await stage.desk.store.commit(stage.desk.owner, ChangeSet(account="main", now_ms=0, updates=(clear,)))
    await stage.reload()
    await stage.round()
    await stage.price("110")
    assert await kept_trigger(stage.desk.store, row) == Decimal("109.5")


async def test_4_a_pause_stops_it(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.desk.store.set_paused("main", True, 0)
    await stage.price("104", after_s=2)
    await stage.price("105")
    assert await kept_trigger(stage.desk.store, row) is None
    await stage.desk.store.set_paused("main", False, 0)
    await stage.price("105", after_s=2)
    await stage.price("105")
    assert await kept_trigger(stage.desk.store, row) == Decimal("104.5")


async def test_the_end_of_a_position_is_the_end_of_following_it(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.price("104")
    now = await stage.desk.store.position(row.position_id)
    assert now is not None
    details = CloseDetails(
        quantity=Decimal(1),
        exit_price=Decimal(104),
        settle_asset="USDT",
        realized_pnl=Decimal(4),
        exit_reason=ExitReason.TRAILING_STOP,
        evidence=Evidence.FILLS,
        closed_at_ms=1,
    )
    close = ClosePosition(position_id=row.position_id, version=now.version, details=details)
    await stage.desk.store.commit(stage.desk.owner, ChangeSet(account="main", now_ms=0, closes=(close,)))
    await stage.manager.on_position_closed(BTC, Decimal(4))
    assert dict(stage.manager.trailing_stops) == {}
    await stage.manager.on_position_closed(BTC, Decimal(4))
    await stage.reload()
    await stage.price("110")
    assert stage.feed.symbols == frozenset()
    again = await stage.open()
    await stage.round()
    assert stage.manager.trailing_stops[again.key].state.phase is TrailingPhase.WAITING
    assert stage.manager.trailing_stops[again.key].state.peak_price is None


async def test_4_a_book_that_does_not_answer_at_first_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk(mode=AccountMode.PROTECT, trailing=TrailingPlan(kind=TrailingKind.OWN, policy=POLICY))
    stage = await staged(desk)
    row = await stage.open()
    real, refused = stage.desk.store.trailing, iter([True, True])
    health = []

    async def trailing(account: str) -> list[TrailingRecord]:
        if next(refused, False):
            raise StoreUnavailable("the connection was closed")
        health.append(stage.manager.health)
        return await real(account)

    monkeypatch.setattr(stage.desk.store, "trailing", trailing)
    stage.manager.drive(False)
    following = asyncio.create_task(stage.follower.run(stage.desk.owner))
    for event in (UP, MarkPrice(symbol=BTC, price=Decimal(104), at_ms=0)):
        stage.feed.said.put_nowait(event)
    await asyncio.wait_for(stage.feed.said.join(), 5)
    following.cancel()
    await asyncio.wait((following,))
    assert [(seen.following, seen.fed) for seen in health] == [(1, False)]
    assert stage.manager.trailing_stops[row.key].state.peak_price == Decimal(104)


async def test_an_error_of_the_feed_that_nobody_expected_is_told_and_prices_are_asked_for() -> None:
    class BrokenFeed(PlayedFeed):
        async def __aiter__(self) -> AsyncIterator[PriceEvent]:
            yield await self.said.get()
            self.said.task_done()
            raise LookupError("a field that was always there")

    desk = await open_desk(mode=AccountMode.PROTECT, trailing=TrailingPlan(kind=TrailingKind.OWN, policy=POLICY))
    stage = await staged(desk, PlayedVenue({BTC: "104"}), BrokenFeed())
    row = await stage.open()
    async with stage.prices:
        await stage.round()
        stage.feed.said.put_nowait(UP)
        await stage.feed.said.join()
        assert stage.prices.problem == "LookupError('a field that was always there')"
        stage.desk.clock.at_ms += 5_000
        await stage.round()
    assert await kept_trigger(desk.store, row) == Decimal("103.5")
    assert not stage.manager.health.fed


async def test_a_cancellation_that_comes_while_the_feed_ends_is_not_lost() -> None:
    unlocked, ending = asyncio.Event(), asyncio.Event()

    class SlowFeed(PlayedFeed):
        async def __aiter__(self) -> AsyncIterator[PriceEvent]:
            try:
                yield await self.said.get()
            finally:
                ending.set()
                await unlocked.wait()

    feed, venue = SlowFeed(), PlayedVenue()
    desk = await open_desk()

    async def watch() -> None:
        async with PriceWatch(cast("Any", feed), cast("Any", venue), desk.clock, TIMING):
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()

    watching = asyncio.create_task(watch())
    await ending.wait()
    watching.cancel()
    unlocked.set()
    done, _ = await asyncio.wait((watching,), timeout=5)
    assert done, "it lives on"
    assert watching.cancelled()
    assert feed.closed


async def test_in_other_modes_nothing_is_followed() -> None:
    for kind, mode in ((TrailingKind.OWN, AccountMode.SYNC), (TrailingKind.OFF, AccountMode.PROTECT)):
        desk = await open_desk(mode=mode, trailing=TrailingPlan(kind=kind, policy=POLICY))
        made = await staged(desk)
        await made.open()
        await asyncio.wait_for(made.follower.run(desk.owner), 1)
        assert made.feed.symbols == frozenset()
        assert dict(made.manager.followed) == {}


async def test_a_changed_policy_holds_for_what_is_followed_already(stage: Stage) -> None:
    row = await stage.open()
    await stage.say(UP)
    await stage.price("104")
    wider = msgspec.structs.replace(POLICY, callback_percent=Decimal(3))
    stage.desk.plan = msgspec.structs.replace(
        stage.desk.plan, trailing=TrailingPlan(kind=TrailingKind.OWN, policy=wider)
    )
    later = await staged(stage.desk)
    async with later.prices:
        await later.say(UP)
        await later.price("105")
        assert await kept_trigger(later.desk.store, row) == Decimal("103.5")
