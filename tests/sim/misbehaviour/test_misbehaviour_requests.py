"""Each fault of requests, as an unmodified ccxt sees it through the real wires."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ccxt
import pytest
from misbehaviour_case import BTC, Case, client_of, error_of
from misbehaviour_seen import raised_class, seen

from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer, served_world


@pytest.mark.parametrize(
    "kind", [FaultKind.HTTP_ERROR, FaultKind.RATE_LIMIT, FaultKind.BANNED, FaultKind.MAINTENANCE], ids=str
)
async def test_a_refusal_in_the_venues_words(case: Case, kind: FaultKind) -> None:
    case.open()
    planned = case.fault(kind, "positions", count=1, retry_after_s=7)
    assert await error_of(case.positions()) == raised_class(kind, case.venue)
    if "Retry-After" in seen(kind, case.venue):
        assert case.exchange.last_response_headers["Retry-After"] == "7"
    assert planned.hits == 1
    assert await case.positions() == {BTC: 0.01}


async def test_a_refused_order_is_not_carried_out(case: Case) -> None:
    case.fault(FaultKind.HTTP_ERROR, "create", status=500, body="<h1>oops</h1>", count=1)
    assert await error_of(case.buy()) == "ExchangeNotAvailable"
    assert case.view.fills() == []


async def test_a_storm_of_rate_limits_passes(case: Case) -> None:
    case.open()
    end_ms = case.world.now_ms() + 600
    planned = case.fault(FaultKind.RATE_LIMIT, until_ms=end_ms)
    errors: list[str] = []
    while case.world.now_ms() < end_ms - 200 or not errors:
        errors.append(await error_of(case.positions()))
    assert set(errors) == {raised_class(FaultKind.RATE_LIMIT, case.venue)}
    assert planned.hits == len(errors) >= 2
    await asyncio.sleep((end_ms - case.world.now_ms()) / 1_000 + 0.01)
    assert await case.positions() == {BTC: 0.01}


async def test_a_maintenance_window_refuses_everything_until_it_ends(case: Case) -> None:
    planned = case.fault(FaultKind.MAINTENANCE, account=None)
    for asked in (case.positions(), case.exchange.fetch_open_orders(BTC), case.exchange.fetch_time(), case.buy()):
        assert await error_of(asked) == raised_class(FaultKind.MAINTENANCE, case.venue)
    case.server.front.remove_fault(planned.fault_id)
    await case.buy()
    assert await case.positions() == {BTC: 0.01}


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.TRUNCATED], ids=str)
async def test_a_body_that_is_no_json_is_no_error_to_the_client(case: Case, kind: FaultKind) -> None:
    case.open()
    case.fault(kind, "positions", count=1)
    assert await case.positions() == {}
    case.fault(kind, "create", count=1)
    placed = await case.buy()
    assert placed["id"] is None
    assert len(case.view.fills()) == 2


async def test_an_empty_list_looks_flat(case: Case) -> None:
    case.open()
    case.fault(FaultKind.EMPTY, "positions", count=1)
    assert await case.positions() == {}
    assert await case.positions() == {BTC: 0.01}


async def test_a_row_without_a_field(case: Case) -> None:
    case.open()
    field = {"binance": "entryPrice", "bybit": "avgPrice"}[case.venue]
    case.fault(FaultKind.DROP_FIELD, "positions", field=field, count=1)
    rows = await case.exchange.fetch_positions()
    assert [(row["symbol"], row["entryPrice"]) for row in rows] == ([] if case.venue == "binance" else [(BTC, None)])
    assert field not in str(case.exchange.last_json_response)


async def test_a_row_with_another_value(case: Case) -> None:
    case.open()
    field = {"binance": "positionAmt", "bybit": "size"}[case.venue]
    case.fault(FaultKind.SET_FIELD, "positions", field=field, value="7.5", count=1)
    assert await case.positions() == {BTC: 7.5}


@pytest.mark.parametrize("when", ["before", "after", "drip"])
async def test_a_slow_answer_takes_its_time(case: Case, when: str) -> None:
    case.open()
    case.fault(FaultKind.SLOW, "positions", when=when, delay_ms=300, count=1)
    started = time.monotonic()
    assert await case.positions() == {BTC: 0.01}
    assert time.monotonic() - started > 0.29


async def test_an_answer_too_slow_for_the_client_comes_from_an_order_that_is_carried_out(case: Case) -> None:
    case.exchange.timeout = 200
    case.fault(FaultKind.SLOW, "create", delay_ms=500, count=1)
    happened = asyncio.Event()
    case.world.subscribe(lambda _: happened.set())
    assert await error_of(case.buy()) == raised_class(FaultKind.SLOW, case.venue)
    assert case.view.fills() == []
    await asyncio.wait_for(happened.wait(), 10)
    assert len(case.view.fills()) == 1


async def test_no_answer_at_all(case: Case) -> None:
    case.exchange.timeout = 200
    case.fault(FaultKind.HANG, "create", count=1)
    assert await error_of(case.buy()) == raised_class(FaultKind.HANG, case.venue)
    assert case.view.fills() == []


async def test_a_dropped_connection(case: Case) -> None:
    case.fault(FaultKind.DISCONNECT, "create", count=1)
    assert await error_of(case.buy()) == raised_class(FaultKind.DISCONNECT, case.venue)
    assert case.view.fills() == []


async def test_the_http_client_repeats_a_get_once_by_itself(case: Case) -> None:
    case.open()
    assert await case.positions() == {BTC: 0.01}
    planned = case.fault(FaultKind.DISCONNECT, "positions", count=1)
    assert await case.positions() == {BTC: 0.01}
    assert planned.hits == 1
    case.fault(FaultKind.DISCONNECT, "positions", count=2)
    assert await error_of(case.positions()) == raised_class(FaultKind.DISCONNECT, case.venue)


LOST = {
    ("binance", "disconnect"): "ExchangeNotAvailable",
    ("binance", "hang"): "RequestTimeout",
    ("binance", "error"): "RequestTimeout",
    ("bybit", "disconnect"): "ExchangeNotAvailable",
    ("bybit", "hang"): "RequestTimeout",
    ("bybit", "error"): "ExchangeError",
}


@pytest.mark.parametrize("then", ["disconnect", "hang", "error"])
async def test_an_answer_is_lost_after_the_order_was_carried_out(case: Case, then: str) -> None:
    case.exchange.timeout = 500
    case.fault(FaultKind.ANSWER_LOST, "create", then=then, count=1)
    raised = await error_of(case.buy("mine-lost"))
    assert raised == LOST[(case.venue, then)]
    assert f"`{raised}`" in seen(FaultKind.ANSWER_LOST, case.venue)
    (fill,) = case.view.fills()
    assert await case.positions() == {BTC: 0.01}
    by_id = "origClientOrderId" if case.venue == "binance" else "orderLinkId"
    fetch: Any = case.exchange.fetch_order if case.venue == "binance" else case.exchange.fetch_closed_order
    found = await fetch("", BTC, {by_id: "mine-lost"})
    assert (found["clientOrderId"], found["status"], found["filled"]) == ("mine-lost", "closed", float(fill.quantity))


async def test_a_cancel_whose_answer_is_lost_is_not_found_when_repeated(case: Case) -> None:
    placed = await case.exchange.create_order(BTC, "limit", "buy", 0.01, 50_000)
    path = {"binance": "/fapi/v1/order", "bybit": "/v5/order/cancel"}[case.venue]
    method = {"binance": "DELETE", "bybit": "POST"}[case.venue]
    case.server.front.add_fault(Fault(FaultKind.ANSWER_LOST, path=path, method=method, then="error", count=1))
    assert await error_of(case.exchange.cancel_order(placed["id"], BTC)) == LOST[(case.venue, "error")]
    assert await error_of(case.exchange.cancel_order(placed["id"], BTC)) == "OrderNotFound"
    assert case.view.open_orders() == []


async def test_a_stale_snapshot_shows_a_position_that_is_closed(case: Case) -> None:
    case.open()
    case.world.clock.offset_ms += 3_500  # type: ignore[attr-defined]
    case.world.close_position("mine", "BTCUSDT")
    planned = case.fault(FaultKind.STALE, "positions", lag_ms=1_500)
    assert await case.positions() == {BTC: 0.01}
    assert await case.exchange.fetch_open_orders(BTC) == []
    case.server.front.remove_fault(planned.fault_id)
    assert await case.positions() == {}


async def test_a_history_that_lags_lacks_the_fill_that_the_position_shows(case: Case) -> None:
    case.fault(FaultKind.STALE, "fills", lag_ms=60_000, count=1)
    case.open()
    assert await case.positions() == {BTC: 0.01}
    assert await case.exchange.fetch_my_trades(BTC) == []
    assert [trade["amount"] for trade in await case.exchange.fetch_my_trades(BTC)] == [0.01]


async def test_an_order_list_that_lags_lacks_the_stop_of_a_position_that_is_shown(case: Case) -> None:
    case.open()
    await case.stop_order()
    trigger = {"binance": "/fapi/v1/openAlgoOrders", "bybit": "/v5/order/realtime"}[case.venue]
    case.server.front.add_fault(Fault(FaultKind.STALE, path=trigger, lag_ms=60_000, count=1))
    assert await case.positions() == {BTC: 0.01}
    assert await case.exchange.fetch_open_orders(BTC, params={"trigger": True}) == []
    assert len(await case.exchange.fetch_open_orders(BTC, params={"trigger": True})) == 1


async def test_one_page_fails(case: Case) -> None:
    for symbol in ("BTCUSDT", "BTCUSDT", "BTCUSDT"):
        case.open(symbol=symbol)
    first = await _page(case, None)
    assert len(first[0]) == 1
    case.fault(FaultKind.HTTP_ERROR, "fills", skip=1, count=1)
    rows, onward = await _page(case, None)
    assert (len(rows), onward) == (1, first[1])
    assert await error_of(_page(case, onward)) == raised_class(FaultKind.HTTP_ERROR, case.venue)
    again, _ = await _page(case, onward)
    assert len(again) == 1
    assert again != rows


async def _page(case: Case, onward: Any) -> tuple[list[Any], Any]:
    """One fill, and what asks for the next."""
    if case.venue == "binance":
        start = {} if onward is None else {"fromId": onward}
        window = {} if start else {"startTime": case.world.now_ms() - 60_000}
        rows = await case.exchange.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "limit": 1, **start, **window})
        return rows, int(rows[-1]["id"]) + 1
    cursor = {} if onward is None else {"cursor": onward}
    answer = await case.exchange.privateGetV5ExecutionList({"category": "linear", "limit": 1, **cursor})
    return answer["result"]["list"], answer["result"]["nextPageCursor"]


async def test_a_clock_that_is_ahead(case: Case) -> None:
    case.open()
    planned = case.fault(FaultKind.CLOCK_SKEW, account=None, offset_ms=60_000)
    assert await error_of(case.positions()) == raised_class(FaultKind.CLOCK_SKEW, case.venue)
    assert planned.hits == 1
    await case.exchange.load_time_difference()
    assert await case.positions() == {BTC: 0.01}


async def test_a_clock_that_is_set_back_stands_still_meanwhile(case: Case) -> None:
    before = case.world.now_ms()
    case.fault(FaultKind.CLOCK_SKEW, account=None, offset_ms=-60_000)
    times = [await case.exchange.fetch_time() for _ in range(3)]
    assert max(times) - before < 1_000
    assert len(set(times)) == 1


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_a_clock_that_was_behind_from_the_start(venue: str) -> None:
    world = served_world(clock_offset_ms=-30_000)
    account = world.add_account("mine", venue)  # type: ignore[arg-type]
    async with VenueServer(world) as server:
        client = await client_of(venue, server, account)
        try:
            assert await error_of(client.fetch_positions()) == raised_class(FaultKind.CLOCK_SKEW, venue)
        finally:
            await client.close()


async def test_scope_leaves_other_accounts_alone(case: Case) -> None:
    other = case.world.add_account("other", case.account.venue)
    client = await client_of(case.venue, case.server, other)
    try:
        case.fault(FaultKind.HTTP_ERROR)
        assert await client.fetch_positions() == []
        with pytest.raises(ccxt.BaseError):
            await case.positions()
    finally:
        await client.close()
