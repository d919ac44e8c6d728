"""Positions of both adapters: coverage, pages, explicit zeros, and everything that must stop a look."""

from __future__ import annotations

from decimal import Decimal

import pytest
from venue_loopback import DROP, HANG, HTML, NOW_MS, HandClock, Loopback, Reply, Seen, reply
from venue_payloads import (
    binance_info,
    binance_position,
    binance_symbol,
    bybit_answer,
    bybit_error,
    bybit_position,
)

from trueup.model.errors import AuthenticationRefused, ClockSkewed, RateLimited, Unlisted, Unobserved
from trueup.model.orders import Side
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue

RISK = "/fapi/v3/positionRisk"
LIST = "/v5/position/list"

BROKEN = [
    pytest.param(reply({"code": -1000, "msg": "An unknown error occurred"}, 503), id="503"),
    pytest.param(HTML, id="html"),
    pytest.param(Reply(body='[{"symbol":"BTCUSDT","positionAmt":"0.0'), id="half-a-json"),
    pytest.param(Reply(body=""), id="nothing"),
    pytest.param(Reply(body="null"), id="null"),
    pytest.param(reply({"data": []}), id="another-shape"),
    pytest.param(reply("[]"), id="a-text"),
    pytest.param(HANG, id="timeout"),
    pytest.param(DROP, id="reset"),
]


def by_settle(**answers: Reply) -> object:
    """USDT, USDC or inverse: what each list answers; the others are empty."""

    def answer(seen: Seen) -> Reply:
        name = seen.params.get("settleCoin", "inverse")
        return answers.get(name, reply(bybit_answer([], category=seen.params["category"])))

    return answer


# Binance


async def test_binance_reads_sides_and_digits(binance: BinanceVenue, server: Loopback) -> None:
    server.on(
        RISK,
        reply(
            [
                binance_position("BTCUSDT", "-0.0100", liquidationPrice="90000.5"),
                binance_position("BTCUSDT_261225", "2"),
                binance_position("ETHUSDT", "1.50", "LONG"),
                binance_position("ETHUSDT", "-0.5", "SHORT"),
                binance_position("1000PEPEUSDT", "0"),
            ]
        ),
    )
    snapshot = await binance.positions()
    found = {(one.symbol, one.side): one for one in snapshot.reports}
    assert set(found) == {
        ("BTC/USDT:USDT", Side.SHORT),
        ("BTC/USDT:USDT-261225", Side.LONG),
        ("ETH/USDT:USDT", Side.LONG),
        ("ETH/USDT:USDT", Side.SHORT),
    }
    short = found["BTC/USDT:USDT", Side.SHORT]
    assert (str(short.quantity), str(short.entry_price)) == ("0.0100", "60000.10")
    assert short.liquidation_price == Decimal("90000.5")
    assert not short.hedge
    assert found["ETH/USDT:USDT", Side.LONG].hedge
    assert found["ETH/USDT:USDT", Side.LONG].liquidation_price is None
    assert snapshot.stale_rows == 1
    assert snapshot.covered == ("linear",)


async def test_binance_json_numbers_keep_their_digits(binance: BinanceVenue, server: Loopback) -> None:
    row = '[{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":0.10000000000000000001,"entryPrice":60000.10}]'
    server.on(RISK, Reply(body=row))
    (report,) = (await binance.positions()).reports
    assert str(report.quantity) == "0.10000000000000000001"
    assert str(report.entry_price) == "60000.10"


async def test_binance_38_stale_rows_are_no_position(binance: BinanceVenue, server: Loopback) -> None:
    names = [f"C{number}USDT" for number in range(38)]
    server.on("/fapi/v1/exchangeInfo", reply(binance_info(*(binance_symbol(name, name[:-4]) for name in names))))
    server.on(RISK, reply([binance_position(name, "0.000", entryPrice="0.0") for name in names]))
    snapshot = await binance.positions()
    assert snapshot.reports == ()
    assert snapshot.stale_rows == 38


@pytest.mark.parametrize("amount", ["", None, "n/a", "NaN", [], "Infinity", True])
async def test_binance_a_row_without_readable_size_is_unobserved(
    binance: BinanceVenue, server: Loopback, amount: object
) -> None:
    server.on(RISK, reply([binance_position("BTCUSDT", "1"), binance_position("ETHUSDT", amount)]))
    with pytest.raises(Unobserved, match="ETHUSDT: positionAmt"):
        await binance.positions()


async def test_binance_a_row_that_lacks_its_size_is_unobserved(binance: BinanceVenue, server: Loopback) -> None:
    row = binance_position("BTCUSDT", "1")
    del row["positionAmt"]
    server.on(RISK, reply([row]))
    with pytest.raises(Unobserved, match="BTCUSDT: positionAmt"):
        await binance.positions()


@pytest.mark.parametrize("broken", BROKEN)
async def test_binance_no_whole_answer_is_unobserved(binance: BinanceVenue, server: Loopback, broken: Reply) -> None:
    server.on(RISK, broken)
    with pytest.raises(Unobserved):
        await binance.positions()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (binance_position("BTCUSDT", "1", entryPrice="0.0"), "entryPrice"),
        (binance_position("BTCUSDT", "1", entryPrice=""), "entryPrice"),
        (binance_position("BTCUSDT", "1", markPrice="x"), "markPrice"),
        (binance_position("BTCUSDT", "-1", "LONG"), "sign of that leg"),
        (binance_position("BTCUSDT", "1", "UP"), "positionSide"),
        (binance_position("NEWUSDT", "1"), "market list"),
    ],
)
async def test_binance_nonsense_is_quarantined_beside_what_is_read(
    binance: BinanceVenue, server: Loopback, row: dict[str, object], problem: str
) -> None:
    server.on(RISK, reply([row, binance_position("ETHUSDT", "2")]))
    snapshot = await binance.positions()
    assert [one.symbol for one in snapshot.reports] == ["ETH/USDT:USDT"]
    (quarantined,) = snapshot.quarantined
    assert problem in quarantined.problem


async def test_binance_a_new_listing_is_looked_up_again(
    binance: BinanceVenue, server: Loopback, clock: HandClock
) -> None:
    server.on(RISK, reply([binance_position("NEWUSDT", "1")]))
    await binance.catalog()
    server.on("/fapi/v1/exchangeInfo", reply(binance_info(binance_symbol("NEWUSDT", "NEW"))))
    assert (await binance.positions()).quarantined != ()  # read a moment ago: not read again at once
    clock.at_ms += 61_000
    assert [one.symbol for one in (await binance.positions()).reports] == ["NEW/USDT:USDT"]


async def test_binance_one_symbol(binance: BinanceVenue, server: Loopback) -> None:
    server.on(RISK, reply([binance_position("BTCUSDT_261225", "2")]))
    snapshot = await binance.positions("BTC/USDT:USDT-261225")
    assert server.asked(RISK)[0].params["symbol"] == "BTCUSDT_261225"
    assert snapshot.symbol == "BTC/USDT:USDT-261225"
    assert snapshot.covers("BTC/USDT:USDT-261225")
    assert not snapshot.covers("BTC/USDT:USDT")
    assert len(snapshot.reports) == 1


async def test_binance_the_latest_of_two_rows_counts(binance: BinanceVenue, server: Loopback) -> None:
    new, old = binance_position("BTCUSDT", "3", updateTime=20), binance_position("BTCUSDT", "5", updateTime=10)
    server.on(RISK, reply([new, old]))
    (report,) = (await binance.positions()).reports
    assert report.quantity == 3


async def test_binance_leverage_comes_from_the_symbols_settings(binance: BinanceVenue, server: Loopback) -> None:
    server.on(RISK, reply([binance_position("BTCUSDT", "3")]))
    server.on("/fapi/v1/symbolConfig", reply([{"symbol": "BTCUSDT", "leverage": 25}]))
    for _ in range(3):
        (report,) = (await binance.positions()).reports
        assert report.leverage == 25
    assert len(server.asked("/fapi/v1/symbolConfig")) == 1


async def test_binance_without_the_settings_the_look_still_holds(binance: BinanceVenue, server: Loopback) -> None:
    server.on(RISK, reply([binance_position("BTCUSDT", "3")]))
    server.on("/fapi/v1/symbolConfig", HTML)
    (report,) = (await binance.positions()).reports
    assert report.leverage is None


async def test_the_snapshot_speaks_for_the_time_before_its_request(
    binance: BinanceVenue, server: Loopback, clock: HandClock
) -> None:
    server.on("/fapi/v1/time", reply({"serverTime": NOW_MS + 5_000}))

    def slow(_: Seen) -> Reply:
        clock.at_ms += 700
        return reply([])

    server.on(RISK, slow)
    snapshot = await binance.positions()
    reading = await binance.clock()
    assert reading.skew_ms == 5_000 - 700
    assert snapshot.as_of_ms == NOW_MS + 5_000 - reading.uncertainty_ms
    assert snapshot.received_at_ms == snapshot.as_of_ms + 700


async def test_a_refused_timestamp_is_a_skew_that_is_measured_again(binance: BinanceVenue, server: Loopback) -> None:
    refused = reply({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
    server.on(RISK, refused, reply([]))
    with pytest.raises(ClockSkewed):
        await binance.positions()
    before = len(server.asked("/fapi/v1/time"))
    await binance.positions()
    assert len(server.asked("/fapi/v1/time")) > before


async def test_requests_are_signed_in_venue_time(binance: BinanceVenue, server: Loopback) -> None:
    server.on("/fapi/v1/time", reply({"serverTime": NOW_MS - 90_000}))
    server.on(RISK, reply([]))
    await binance.positions()
    assert int(server.asked(RISK)[0].params["timestamp"]) == NOW_MS - 90_000


async def test_no_other_host_and_no_other_api_is_ever_asked(binance: BinanceVenue, server: Loopback) -> None:
    server.on(RISK, reply([]))
    server.on("/fapi/v1/openOrders", reply([]))
    server.on("/fapi/v1/openAlgoOrders", reply([]))
    await binance.positions()
    await binance.open_orders()
    assert all(one.path.startswith("/fapi/") for one in server.seen)
    assert all(url.startswith(server.url) for url in binance.client._exchange.urls["api"].values())


# Bybit


async def test_bybit_reads_all_settle_coins(bybit: BybitVenue, server: Loopback) -> None:
    zero = bybit_position("SOLUSDT", "0", "", avgPrice="0")
    server.on(
        LIST,
        by_settle(
            USDT=reply(bybit_answer([bybit_position("BTCUSDT", "0.0100", "Sell"), zero], category="linear")),
            USDC=reply(bybit_answer([bybit_position("BTCPERP", "1")], category="linear")),
            inverse=reply(bybit_answer([bybit_position("BTCUSD", "100")], category="inverse")),
        ),
    )
    snapshot = await bybit.positions()
    assert [(one.symbol, one.side, str(one.quantity)) for one in snapshot.reports] == [
        ("BTC/USDT:USDT", Side.SHORT, "0.0100"),
        ("BTC/USDC:USDC", Side.LONG, "1"),
        ("BTC/USD:BTC", Side.LONG, "100"),
    ]
    assert snapshot.covered == ("linear:USDT", "linear:USDC", "inverse")
    assert snapshot.stale_rows == 1
    assert all(one.params["limit"] == "200" for one in server.asked(LIST))


@pytest.mark.parametrize("failing", ["USDT", "USDC", "inverse"])
@pytest.mark.parametrize("broken", [*BROKEN, pytest.param(reply(bybit_error(10016, "Internal error")), id="10016")])
async def test_bybit_one_list_that_fails_leaves_nothing_observed(
    bybit: BybitVenue, server: Loopback, failing: str, broken: Reply
) -> None:
    server.on(LIST, by_settle(**{failing: broken}))
    with pytest.raises(Unobserved):
        await bybit.positions()


async def test_bybit_follows_the_cursor_to_the_end(bybit: BybitVenue, server: Loopback) -> None:
    pages = {
        None: (["BTCUSDT", "ETHUSDT"], "BTCUSDT%2C1"),
        "BTCUSDT%2C1": (["SOLUSDT"], "SOLUSDT%2C2"),
        "SOLUSDT%2C2": ([], ""),
    }

    def answer(seen: Seen) -> Reply:
        if seen.params.get("settleCoin") != "USDT":
            return reply(bybit_answer([]))
        raw = seen.params.get("cursor")
        names, cursor = pages[None if raw is None else raw.replace(",", "%2C")]
        return reply(bybit_answer([bybit_position(name, "1") for name in names], cursor))

    server.on(LIST, answer)
    assert [one.symbol for one in (await bybit.positions()).reports] == [
        "BTC/USDT:USDT",
        "ETH/USDT:USDT",
        "SOL/USDT:USDT",
    ]


async def test_bybit_a_later_page_that_fails_leaves_nothing_observed(bybit: BybitVenue, server: Loopback) -> None:
    def answer(seen: Seen) -> Reply:
        if seen.params.get("settleCoin") != "USDT":
            return reply(bybit_answer([]))
        return HTML if "cursor" in seen.params else reply(bybit_answer([bybit_position("BTCUSDT", "1")], "next"))

    server.on(LIST, answer)
    with pytest.raises(Unobserved, match="page 2"):
        await bybit.positions()


async def test_bybit_a_cursor_that_comes_again_is_an_error(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, by_settle(USDT=reply(bybit_answer([bybit_position("BTCUSDT", "1")], "again"))))
    with pytest.raises(Unobserved, match="no end"):
        await bybit.positions()


async def test_bybit_an_answer_for_another_category_is_an_error(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, reply(bybit_answer([], category="linear")))
    with pytest.raises(Unobserved, match="asked for inverse, answered for linear"):
        await bybit.positions()


async def test_bybit_the_row_of_the_higher_sequence_counts(bybit: BybitVenue, server: Loopback) -> None:
    newer = bybit_position("BTCUSDT", "3", seq=20, updatedTime="10")
    older = bybit_position("BTCUSDT", "5", seq=10, updatedTime="99")
    closed = bybit_position("ETHUSDT", "0", "", seq=9)
    reopened = bybit_position("ETHUSDT", "1", seq=10)
    server.on(LIST, by_settle(USDT=reply(bybit_answer([newer, older, reopened, closed]))))
    assert [(one.symbol, one.quantity) for one in (await bybit.positions()).reports] == [
        ("BTC/USDT:USDT", 3),
        ("ETH/USDT:USDT", 1),
    ]


async def test_bybit_hedge_legs_stay_apart(bybit: BybitVenue, server: Loopback) -> None:
    long, short = bybit_position("BTCUSDT", "1", "Buy", 1), bybit_position("BTCUSDT", "2", "Sell", 2)
    server.on(LIST, by_settle(USDT=reply(bybit_answer([long, short]))))
    reports = (await bybit.positions()).reports
    assert [(one.side, one.quantity, one.hedge, one.position_index) for one in reports] == [
        (Side.LONG, 1, True, 1),
        (Side.SHORT, 2, True, 2),
    ]


@pytest.mark.parametrize("size", ["", None, "x", "NaN"])
async def test_bybit_a_row_without_readable_size_is_unobserved(
    bybit: BybitVenue, server: Loopback, size: object
) -> None:
    server.on(LIST, by_settle(USDC=reply(bybit_answer([bybit_position("BTCPERP", size)]))))
    with pytest.raises(Unobserved, match="BTCPERP: size"):
        await bybit.positions()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (bybit_position("BTCUSDT", "1", ""), "side: expected Buy or Sell"),
        (bybit_position("BTCUSDT", "1", "Sell", 1), "leg 1"),
        (bybit_position("BTCUSDT", "1", "Buy", 7), "positionIdx"),
        (bybit_position("BTCUSDT", "-1"), "positive size"),
        (bybit_position("BTCUSDT", "1", avgPrice="0"), "avgPrice"),
        (bybit_position("BTCUSDT", "1", avgPrice=""), "avgPrice"),
        (bybit_position("NEWUSDT", "1"), "market list"),
    ],
)
async def test_bybit_nonsense_is_quarantined_beside_what_is_read(
    bybit: BybitVenue, server: Loopback, row: dict[str, object], problem: str
) -> None:
    server.on(LIST, by_settle(USDT=reply(bybit_answer([row, bybit_position("ETHUSDT", "2")]))))
    snapshot = await bybit.positions()
    assert [one.symbol for one in snapshot.reports] == ["ETH/USDT:USDT"]
    (quarantined,) = snapshot.quarantined
    assert problem in quarantined.problem


async def test_bybit_one_symbol_is_one_question(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, reply(bybit_answer([bybit_position("BTCUSD", "100")], category="inverse")))
    snapshot = await bybit.positions("BTC/USD:BTC")
    (asked,) = server.asked(LIST)
    assert (asked.params["category"], asked.params["symbol"]) == ("inverse", "BTCUSD")
    assert snapshot.symbol == "BTC/USD:BTC"
    assert len(snapshot.reports) == 1


async def test_an_unlisted_symbol_cannot_be_asked_for(bybit: BybitVenue, binance: BinanceVenue) -> None:
    for venue in (bybit, binance):
        with pytest.raises(Unlisted, match="not in the venue's market list"):
            await venue.positions("NEW/USDT:USDT")


# Errors that both tell


async def test_rate_limits_silence_the_whole_client(binance: BinanceVenue, server: Loopback, clock: HandClock) -> None:
    server.on(RISK, reply({"code": -1003, "msg": "Too many requests."}, 429, Retry_After="30"), reply([]))
    with pytest.raises(RateLimited) as limited:
        await binance.positions()
    assert limited.value.retry_after_s == 30
    asked = len(server.seen)
    with pytest.raises(RateLimited, match="not asked"):
        await binance.open_orders()
    assert len(server.seen) == asked
    clock.at_ms += 28_500
    await binance.positions()  # a short rest is slept
    assert clock.slept_s == [1.5]
    assert len(server.seen) == asked + 1


async def test_a_ban_is_obeyed_to_its_end(binance: BinanceVenue, server: Loopback) -> None:
    text = f"Way too many requests; IP(1.2.3.4) banned until {NOW_MS + 600_000}. Please use the websocket."
    server.on(RISK, reply({"code": -1003, "msg": text}, 418))
    with pytest.raises(RateLimited) as limited:
        await binance.positions()
    assert limited.value.retry_after_s == 600


@pytest.mark.parametrize("code", [10006, 10018, 10429])
async def test_bybit_rate_limits(bybit: BybitVenue, server: Loopback, code: int) -> None:
    reset = {"X_Bapi_Limit_Reset_Timestamp": str(NOW_MS + 5_000), "X_Bapi_Limit_Status": "0", "X_Bapi_Limit": "50"}
    server.on(LIST, reply(bybit_error(code, "Too many visits!"), **reset))
    with pytest.raises(RateLimited) as limited:
        await bybit.positions()
    assert limited.value.retry_after_s == 5
    assert bybit.client.limits.left() == (0, 50)


async def test_bybit_an_address_over_its_limit_waits(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, Reply(body="403, access too frequent", status=403, headers={"Content-Type": "text/plain"}))
    with pytest.raises(RateLimited):
        await bybit.positions()
    with pytest.raises(RateLimited, match="not asked"):
        await bybit.positions()


async def test_bybit_a_blocked_region_is_no_rate_limit(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, Reply(body="<html>blocked from your country</html>", status=403))
    with pytest.raises(Unobserved) as unobserved:
        await bybit.positions()
    assert not isinstance(unobserved.value, RateLimited)


@pytest.mark.parametrize(
    "refused",
    [reply({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)]
    + [reply({"code": code, "msg": "no"}, 400) for code in (-2014, -1022)],
)
async def test_binance_a_refused_key(binance: BinanceVenue, server: Loopback, refused: Reply) -> None:
    server.on(RISK, refused)
    with pytest.raises(AuthenticationRefused):
        await binance.positions()


@pytest.mark.parametrize("code", [10003, 10004, 10005, 10010, 33004])
async def test_bybit_a_refused_key(bybit: BybitVenue, server: Loopback, code: int) -> None:
    server.on(LIST, reply(bybit_error(code, "API key is invalid.")))
    with pytest.raises(AuthenticationRefused):
        await bybit.positions()


async def test_bybit_a_refused_timestamp(bybit: BybitVenue, server: Loopback) -> None:
    server.on(LIST, reply(bybit_error(10002, "invalid request, please check your server timestamp")))
    with pytest.raises(ClockSkewed):
        await bybit.positions()


async def test_binance_tells_portfolio_margin(binance: BinanceVenue, server: Loopback) -> None:
    server.on(RISK, reply({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401))
    with pytest.raises(AuthenticationRefused, match="portfolio-margin"):
        await binance.positions()
