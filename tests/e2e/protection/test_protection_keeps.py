"""Stops are kept: placed, replaced, swept, whatever the venue answers. Judged by the venue's own record of orders."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.guard import Guard, House, Judge, open_house
from trueup.core.stops import StopPolicy
from trueup.model.positions import AccountMode
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world import types as sim

D = Decimal
BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
PLACE = {"binanceusdm": "/fapi/v1/algoOrder", "bybit": "/v5/order/create"}
CANCEL = {"binanceusdm": ("DELETE", "/fapi/v1/algoOrder"), "bybit": ("POST", "/v5/order/cancel")}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


def placing(venue: str, kind: FaultKind, **how: Any) -> Fault:
    return Fault(kind, path=PLACE[venue], method="POST", query={"triggerPrice": "?*"}, **how)


def refusing(venue: str, code: int, text: str = "no", **how: Any) -> Fault:
    """The placement is refused so, and nothing is carried out."""
    body = {"code": code, "msg": text} if venue == "binanceusdm" else {"retCode": code, "retMsg": text, "result": {}}
    status = 400 if venue == "binanceusdm" else 200
    return placing(venue, FaultKind.HTTP_ERROR, status=status, body=json.dumps(body), **how)


async def held(house: House, venue: str, *, mode: AccountMode = AccountMode.PROTECT, **plan: Any) -> Guard:
    """A long of 2 ETH at 3000 that is open on the venue and not yet looked at."""
    guard = house.guard("main", venue, mode=mode, **plan)
    guard.world.open_position("main", "ETHUSDT", "long", "2")
    return guard


@BOTH
@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("side", ["long", "short"])
async def test_a_stop_is_placed_as_configured(house: House, venue: str, hedge: bool, side: str) -> None:
    guard = house.guard("main", venue, hedge=hedge, stops=StopPolicy(percent=D("2.5"), trigger_by="last"))
    guard.world.open_position("main", "ETHUSDT", side, "2")
    report = await guard.run()
    assert report.exit_code == 0
    [stop] = guard.stops()
    trigger = D("2925") if side == "long" else D("3075")
    assert (stop.quantity, stop.trigger_price, stop.trigger_by) == (D(2), trigger, sim.TriggerBy.LAST)
    assert stop.leg is guard.leg(side)
    [placed] = report.protection.placed
    assert (placed.client_order_id, placed.trigger_price) == (stop.client_order_id, trigger)
    assert len(await guard.events("STOP_PLACED")) == 1
    [covered] = await guard.events("POSITION_PROTECTED")
    assert covered["side"] == side
    again = await guard.run()
    assert again.protection.placed == ()
    assert len(guard.stops()) == 1
    guard.world.set_price("ETHUSDT", "2900" if side == "long" else "3100")
    after = await guard.run()
    [closed] = after.closed_phantom
    assert closed.close is not None
    assert (closed.close.exit_reason.value, closed.close.evidence.value) == ("stop_loss", "fills")


@BOTH
async def test_the_books_own_stop_and_a_moved_one(house: House, venue: str) -> None:
    """A tighter stop of the book replaces ours; a looser one does not: cancel ours on the venue to loosen it."""
    guard = await held(house, venue)
    await guard.run()
    for asked, stands in (("2900", "2900"), ("2800", "2900")):
        await guard.manager.load_positions_from_db()
        await guard.manager.set_stop_loss("ETH/USDT:USDT", price=D(asked))
        await guard.run()
        [stop] = guard.ours()
        assert stop.trigger_price == D(stands)
    assert guard.judge.lost == []
    assert guard.judge.most_of_ours == 2


@BOTH
async def test_an_atr_of_the_callers(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.mode(AccountMode.SYNC)
    await guard.run()
    guard.mode(AccountMode.PROTECT)
    await guard.manager.load_positions_from_db()
    assert await guard.manager.set_stop_loss("ETH/USDT:USDT", distance=D("12.5") * 3) == D("2962.5")
    [stop] = guard.ours()
    assert stop.trigger_price == D("2962.5")


@BOTH
async def test_the_answer_to_the_placement_is_lost(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.fault(placing(venue, FaultKind.ANSWER_LOST, count=1))
    assert (await guard.run()).exit_code == 0
    assert len(guard.world.look("main").conditionals("ETHUSDT")) == 1


@BOTH
async def test_no_answer_and_nothing_placed(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.fault(placing(venue, FaultKind.DISCONNECT, count=1))
    assert (await guard.run()).exit_code == 0
    [order] = guard.world.look("main").conditionals("ETHUSDT")
    assert order.client_order_id.endswith("-0"), "the same id again: a late first one would be refused beside it"


@BOTH
async def test_a_venue_that_takes_no_orders_is_told_and_tried_again(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.fault(placing(venue, FaultKind.DISCONNECT))
    report = await guard.run()
    assert report.exit_code == 5
    assert [order.order_id for order in report.protection.failed] == [None]
    assert [row.symbol for row in report.protection.unprotected] == ["ETH/USDT:USDT"]
    [failed, *_] = await guard.events("STOP_FAILED")
    assert failed["reason"] == "not_answered"
    guard.mend()
    assert (await guard.run()).exit_code == 0
    assert len(guard.stops()) == 1


@BOTH
async def test_unprotected_is_told_only_after_the_grace(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.fault(placing(venue, FaultKind.DISCONNECT))
    first = await guard.run(confirm=False)
    assert not first.unprotected_overdue
    assert await guard.events("POSITION_UNPROTECTED") == []
    guard.world.advance(10_000)
    assert (await guard.run(confirm=False)).unprotected_overdue
    await guard.run(confirm=False)
    [told] = await guard.events("POSITION_UNPROTECTED")
    assert told["findings"] == ["no_stop"]
    assert told["seconds"] >= 10
    guard.mend()
    await guard.run(confirm=False)
    [covered] = await guard.events("POSITION_PROTECTED")
    assert covered["seconds"] >= 10


@BOTH
@pytest.mark.parametrize("close", [False, True])
async def test_the_trigger_is_passed_already(house: House, venue: str, close: bool) -> None:
    """-2021, 110093: the price is beyond the stop. `alert` tells and tries again; `close` ends the risk at market."""
    guard = await held(house, venue, stops=StopPolicy(close_unprotectable=close))
    guard.world.set_price("ETHUSDT", "2800")
    report = await guard.run()
    [failed, *_] = await guard.events("STOP_FAILED")
    assert failed["reason"] == "trigger_passed"
    if close:
        assert report.exit_code == 0
        [closed] = report.closed_phantom
        assert closed.close is not None
        assert (closed.close.evidence.value, closed.close.exit_price) == ("fills", D(2800))
        assert guard.world.look("main").positions("ETHUSDT") == []
        return
    assert report.exit_code == 5
    assert len(guard.world.look("main").positions("ETHUSDT")) == 1
    guard.world.set_price("ETHUSDT", "2950")
    assert (await guard.run()).exit_code == 0
    assert len(guard.ours()) == 1


@BOTH
async def test_a_trigger_that_only_its_rounding_put_beyond_the_price(house: House, venue: str) -> None:
    """The stop is wanted at 2899.995: rounded towards the entry it would trigger at once, one tick away it does not."""
    guard = await held(house, venue)
    guard.mode(AccountMode.SYNC)
    await guard.run()
    guard.mode(AccountMode.PROTECT, stops=StopPolicy(close_unprotectable=True))
    await guard.manager.load_positions_from_db()
    guard.world.set_price("ETHUSDT", "2900")
    await guard.manager.set_stop_loss("ETH/USDT:USDT", price=D("2899.995"))
    [stop] = guard.ours()
    assert stop.trigger_price == D("2899.99")
    assert (await guard.run()).protection.placed == ()
    assert len(guard.world.look("main").positions("ETHUSDT")) == 1


@BOTH
async def test_the_venue_has_no_room_for_another_conditional(house: House, venue: str) -> None:
    guard = await held(house, venue)
    others = []
    for number in range(200 if venue == "binanceusdm" else 10):
        others.append(guard.place("long", "1", f"{3100 + number}", entry=True))
    report = await guard.run()
    assert report.exit_code == 5
    [failed, *_] = await guard.events("STOP_FAILED")
    assert failed["reason"] == "too_many_conditionals"
    assert len(guard.world.look("main").positions("ETHUSDT")) == 1, "the policy is to alert"
    guard.world.cancel_conditional("main", others[0].conditional_id)
    assert (await guard.run()).exit_code == 0
    assert len(guard.ours()) == 1


@BOTH
async def test_no_room_but_too_many_of_ours(house: House, venue: str) -> None:
    """What of ours is not needed goes first, then there is room; never the last one."""
    guard = await held(house, venue)
    guard.place("long", "2", "2850", client_id="tu-sl-99-x-0")
    guard.place("long", "1", "2840", client_id="tu-sl-99-x-1")
    _fill_up(guard, but=2)
    await guard.run()
    report = await guard.run()
    assert report.exit_code == 0
    [stop] = guard.ours()
    assert (stop.quantity, stop.trigger_price) == (D(2), D(2850))


@BOTH
async def test_no_room_and_all_of_ours_are_needed(house: House, venue: str) -> None:
    """Two halves cover together what neither does: none goes, and that the better one has no room is told."""
    guard = await held(house, venue)
    guard.place("long", "1", "2850", client_id="tu-sl-99-x-0")
    guard.place("long", "1", "2840", client_id="tu-sl-99-x-1")
    _fill_up(guard, but=2)
    for _ in range(2):
        report = await guard.run()
        assert (report.exit_code, report.protection.unprotected) == (5, ())
    assert guard.judge.lost == []
    assert {event["reason"] for event in await guard.events("STOP_FAILED")} == {"too_many_conditionals"}


def _fill_up(guard: Guard, *, but: int) -> None:
    """Somebody's entries take all the room that the venue has for conditional orders, but so many."""
    for number in range((200 if guard.plan.venue == "binanceusdm" else 10) - but):
        guard.place("long", "1", f"{3100 + number}", entry=True)


BELOW_MINIMUM = {"binanceusdm": (-4004, "Quantity less than min quantity."), "bybit": (10001, "The number of contracts exceeds minimum limit allowed")}  # fmt: skip  # noqa: E501


@BOTH
async def test_a_quantity_below_the_minimum_becomes_the_whole_position(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.fault(refusing(venue, *BELOW_MINIMUM[venue], count=1))
    assert (await guard.run()).exit_code == 0
    [stop] = guard.ours()
    assert stop.quantity is None
    assert stop.close_position
    assert (await guard.run()).protection.placed == ()


@BOTH
async def test_below_the_minimum_also_as_a_whole(house: House, venue: str) -> None:
    guard = await held(house, venue, stops=StopPolicy(close_unprotectable=True))
    guard.fault(refusing(venue, *BELOW_MINIMUM[venue]))
    report = await guard.run()
    assert [closed.symbol for closed in report.closed_phantom] == ["ETH/USDT:USDT"]


NO_PERMISSION = {"binanceusdm": (-2015, "Invalid API-key, IP, or permissions for action"), "bybit": (10005, "Permission denied")}  # fmt: skip  # noqa: E501


@BOTH
async def test_a_key_that_may_not_trade_never_closes(house: House, venue: str) -> None:
    guard = await held(house, venue, stops=StopPolicy(close_unprotectable=True))
    guard.fault(refusing(venue, *NO_PERMISSION[venue]))
    report = await guard.run()
    assert report.exit_code == 5
    [failed, *_] = await guard.events("STOP_FAILED")
    assert failed["reason"] == "permission"
    assert len(guard.world.look("main").positions("ETHUSDT")) == 1


async def test_a_trigger_outside_of_the_price_band_is_told_and_never_closes(house: House) -> None:
    guard = await held(house, "binanceusdm", stops=StopPolicy(close_unprotectable=True))
    guard.mode(AccountMode.SYNC)
    await guard.run()
    guard.mode(AccountMode.PROTECT)
    await guard.manager.load_positions_from_db()
    await guard.manager.set_stop_loss("ETH/USDT:USDT", price=D(100))
    [failed, *_] = await guard.events("STOP_FAILED")
    assert failed["reason"] == "out_of_price_band"
    assert len(guard.world.look("main").positions("ETHUSDT")) == 1


@BOTH
async def test_attempts_are_bounded_and_wait_longer(house: House, venue: str) -> None:
    """A refusal that the same request would get again is sent once a pass; the daemon waits before the next one."""
    guard = await held(house, venue)
    guard.world.set_price("ETHUSDT", "2800")
    asked = guard.server.front.journal.total

    def placements() -> int:
        newest = guard.server.front.journal.latest(500)
        return sum(one.request.method == "POST" and one.request.path == PLACE[venue] for one in newest)

    await guard.run(confirm=False, due_effects_only=True)
    assert placements() == 1
    await guard.run(confirm=False, due_effects_only=True)
    assert placements() == 1, "not due yet"
    guard.world.advance(60_000)
    await guard.run(confirm=False, due_effects_only=True)
    assert placements() == 2
    assert guard.server.front.journal.total > asked


@BOTH
async def test_a_suspected_position_that_the_venue_does_not_show_keeps_its_stops_and_gets_none(
    house: House, venue: str
) -> None:
    guard = await held(house, venue)
    await guard.run()
    [stop] = guard.ours()
    guard.world.cancel_conditional("main", stop.conditional_id)
    guard.fault(Fault(FaultKind.EMPTY, path="*osition*"))
    guard.fault(Fault(FaultKind.EMPTY, path="*rade*"))
    guard.fault(Fault(FaultKind.EMPTY, path="*xecution*"))
    report = await guard.run(confirm=False)
    assert report.protection.placed == ()
    assert guard.stops() == []
    guard.mend()
    await guard.run()
    assert len(guard.ours()) == 1


@BOTH
async def test_a_position_whose_numbers_nothing_explains_yet_has_its_stop_all_the_same(
    house: House, venue: str
) -> None:
    guard = await held(house, venue)
    await guard.run()
    guard.world.reduce_position("main", "ETHUSDT", "long", "1")
    [stop] = guard.ours()
    guard.world.cancel_conditional("main", stop.conditional_id)
    guard.fault(Fault(FaultKind.EMPTY, path="*rades"))
    guard.fault(Fault(FaultKind.EMPTY, path="*xecution*"))
    report = await guard.run(confirm=False)
    assert [position.symbol for position in report.suspected] == ["ETH/USDT:USDT"]
    [placed] = guard.ours()
    assert placed.quantity == D(1)


@BOTH
@pytest.mark.parametrize("mode", [AccountMode.OBSERVE, AccountMode.SYNC])
async def test_the_other_modes_place_nothing(house: House, venue: str, mode: AccountMode) -> None:
    guard = await held(house, venue, mode=mode)
    await guard.run()
    report = await guard.run()
    assert guard.world.look("main").conditionals() == []
    assert report.protection.placed == ()
    assert len(report.protection.unprotected) == (1 if mode is AccountMode.SYNC else 0)


@BOTH
async def test_a_dry_run_says_what_would_be_placed(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.mode(AccountMode.SYNC)
    await guard.run()
    guard.mode(AccountMode.PROTECT)
    report = await guard.run(dry_run=True)
    [order] = report.protection.placed
    assert (order.order_id, order.trigger_price, order.quantity) == (None, D(2850), D(2))
    assert guard.world.look("main").conditionals() == []


@BOTH
async def test_adopted_positions_only_if_the_operator_says_so(house: House, venue: str) -> None:
    guard = await held(house, venue, protect_adopted=False)
    await guard.run()
    assert (await guard.run()).exit_code == 0
    assert guard.world.look("main").conditionals() == []
    await guard.manager.load_positions_from_db()
    [covered] = (await guard.manager.check_positions_protection()).values()
    assert covered is False


@BOTH
async def test_a_users_stop_is_respected_until_it_goes(house: House, venue: str) -> None:
    guard = await held(house, venue)
    users = guard.place("long", "2", "2000", client_id="mine")
    assert (await guard.run()).protection.placed == ()
    guard.world.cancel_conditional("main", users.conditional_id)
    assert len((await guard.run()).protection.placed) == 1


@BOTH
async def test_a_look_that_reads_no_order_lists_asks_for_what_is_new(house: House, venue: str) -> None:
    """While the stream is up the lists are read seldom: a new position, or another quantity, does not wait for that."""
    guard = await held(house, venue)
    report = await guard.run(confirm=False, orders=False)
    assert len(report.protection.placed) == 1
    guard.world.open_position("main", "ETHUSDT", "long", "1")
    await guard.run(confirm=False, orders=False)
    [stop] = guard.ours()
    assert stop.quantity == D(3)
    await guard.run(confirm=False, orders=False)
    before = guard.server.front.journal.total
    await guard.run(confirm=False, orders=False)
    newest = guard.server.front.journal.latest(guard.server.front.journal.total - before)
    assert not [asked for asked in newest if "rder" in asked.request.path], "nothing changed: nothing is asked for"


class Meddling:
    """The venue, with something that happens on it just before a call."""

    def __init__(self, venue: Any, call: str, happens: Any) -> None:
        self._venue, self._call, self._happens = venue, call, happens

    def __getattr__(self, name: str) -> Any:
        if name == self._call and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        return getattr(self._venue, name)


@BOTH
async def test_a_position_that_changed_after_it_was_decided_on_is_looked_at_first(house: House, venue: str) -> None:
    guard = await held(house, venue)
    guard.venue = Meddling(
        guard.venue, "find_stop", lambda: guard.world.reduce_position("main", "ETHUSDT", "long", "0.5")
    )
    guard.restart()
    assert (await guard.run()).exit_code == 0
    [stop] = guard.world.look("main").conditionals("ETHUSDT")
    assert stop.quantity == D("1.5")


@BOTH
async def test_a_reopened_symbols_stop_is_not_touched_for_its_predecessors_sake(house: House, venue: str) -> None:
    """Closed and reopened with the same size just before the old stop would go: it stays until the new one is there."""
    guard = await held(house, venue)
    guard.place("long", "2", "2850", client_id="tu-sl-1-x-0")
    guard.place("long", "2", "2860", client_id="tu-sl-1-x-1")

    def reopen() -> None:
        guard.world.advance(10)
        guard.world.close_position("main", "ETHUSDT", "long")
        guard.world.advance(10)
        guard.world.open_position("main", "ETHUSDT", "long", "2")

    guard.venue = Meddling(guard.venue, "cancel", reopen)
    guard.restart()
    await guard.run()
    assert (await guard.run()).exit_code == 0
    assert len(guard.ours()) == 1
    assert guard.judge.lost == []


@BOTH
async def test_not_found_is_believed_only_after_lists_and_history(house: House, venue: str) -> None:
    """A sweep that the venue answers with "not found" while it lists the order is not done; when it is gone it is."""
    guard = await held(house, venue)
    method, path = CANCEL[venue]
    await guard.run()
    extra = guard.place("long", "2", "2840", client_id=f"tu-sl-{(await guard.row()).position_id}-x-9")
    body = (
        {"code": -2011, "msg": "Unknown order sent."}
        if venue == "binanceusdm"
        else {"retCode": 110001, "retMsg": "gone"}
    )
    status = 400 if venue == "binanceusdm" else 200
    guard.fault(Fault(FaultKind.HTTP_ERROR, path=path, method=method, status=status, body=json.dumps(body)))
    report = await guard.run()
    assert report.exit_code == 5
    assert len(report.protection.failed) == 1
    assert await guard.events("STOP_SWEPT") == []
    guard.mend()
    assert (await guard.run()).exit_code == 0
    assert len(await guard.events("STOP_SWEPT")) == 1
    order = guard.world.look("main").conditional(extra.conditional_id)
    assert order is not None
    assert not order.is_open


@BOTH
async def test_a_cancel_that_fails_for_an_hour_is_counted_and_then_carried_out(house: House, venue: str) -> None:
    guard = await held(house, venue)
    await guard.run()
    method, path = CANCEL[venue]
    guard.fault(Fault(FaultKind.DISCONNECT, path=path, method=method))
    guard.world.close_position("main", "ETHUSDT", "long")
    began = guard.world.now_ms()
    while guard.world.now_ms() - began < 3_600_000:
        report = await guard.run(confirm=False, due_effects_only=True)
        assert report.exit_code == 5
        assert len(guard.ours()) == 1
        guard.world.advance(300_000)
    failures = len(await guard.events("CLEANUP_FAILED"))
    assert failures >= 10
    assert len(await guard.events("EFFECT_ESCALATED")) == 1, "escalated once, told again by the notices' clock"
    guard.mend()
    guard.world.advance(300_000)
    assert (await guard.run(confirm=False, due_effects_only=True)).exit_code == 0
    assert guard.ours() == []
    numbers = await guard.numbers()
    assert numbers.cancels_failed == failures
    assert numbers.orphans_gone == 1
    assert numbers.orphan_seconds >= 3_600


@BOTH
async def test_the_numbers(house: House, venue: str) -> None:
    """Unprotected seconds, time to cover, stops placed and swept: kept with the account, over restarts."""
    guard = await held(house, venue)
    guard.fault(placing(venue, FaultKind.DISCONNECT))
    await guard.run(confirm=False)
    guard.world.advance(20_000)
    await guard.run(confirm=False)
    standing = await guard.numbers()
    assert 20 <= standing.unprotected_seconds < 40
    assert [(name, seconds >= 20) for name, seconds in standing.unprotected_now] == [("ETH/USDT:USDT long", True)]
    guard.mend()
    guard.restart()
    await guard.run(confirm=False)
    guard.world.reduce_position("main", "ETHUSDT", "long", "1")
    await guard.run(confirm=False)
    numbers = await guard.numbers()
    assert (numbers.stops_placed, numbers.stops_swept, numbers.times_covered) == (2, 1, 1)
    assert numbers.unprotected_now == ()
    assert 20 <= numbers.unprotected_seconds < 60
    assert numbers.unprotected_seconds == pytest.approx(numbers.cover_seconds, abs=0.5)


async def test_the_judge_sees_a_naked_gap(house: House) -> None:
    """A cancel before the new stop stands is told: the judge of these tests can fail."""
    guard = await held(house, "binanceusdm")
    stop = guard.place("long", "2", "2850", client_id="tu-sl-1-x-0")
    judge = Judge(guard.world, "main")
    guard.place("long", "1", "2840", client_id="tu-sl-1-x-1")
    guard.world.cancel_conditional("main", stop.conditional_id)
    assert len(judge.lost) == 1
