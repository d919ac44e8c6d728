"""Cancels, identity, facts, the second surface; what an action's failure means; and that no secret comes out."""

from __future__ import annotations

import logging
import traceback
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from venue_loopback import DROP, HANG, HTML, KEY, SECRET, HandClock, Loopback, Reply, reply
from venue_payloads import binance_position, bybit_answer, bybit_error, bybit_position

from trueup.model.effects import CancelOrder
from trueup.model.errors import (
    AuthenticationRefused,
    ClockSkewed,
    ConfigurationError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TrueupError,
    UnknownOrder,
    Unobserved,
)
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import OrderKind, OrderList, OrderSide, Side
from trueup.venues import open_venue
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.client import make_client
from trueup.venues.faults import Scrubber

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
CANCEL, STOPS, LIST = "/v5/order/cancel", "/v5/position/trading-stop", "/v5/position/list"


def cancel(order_list: OrderList = OrderList.REGULAR, **changes: Any) -> CancelOrder:
    fields: dict[str, Any] = {
        "symbol": "BTC/USDT:USDT",
        "side": Side.LONG,
        "order_id": "900",
        "client_order_id": None,
        "order_list": order_list,
        "kind": OrderKind.STOP,
        "order_side": OrderSide.SELL,
        **changes,
    }
    return CancelOrder(**fields)


async def test_binance_cancels_in_the_orders_own_list(binance: BinanceVenue, server: Loopback) -> None:
    server.on(ORDER, reply({"orderId": 900, "status": "CANCELED"}))
    server.on(ALGO, reply({"algoId": 900, "code": "200", "msg": "success"}))
    await binance.cancel(cancel())
    await binance.cancel(cancel(OrderList.CONDITIONAL))
    (regular,), (conditional,) = server.asked(ORDER), server.asked(ALGO)
    assert (regular.method, regular.params["symbol"], regular.params["orderId"]) == ("DELETE", "BTCUSDT", "900")
    assert (conditional.method, conditional.params["algoId"]) == ("DELETE", "900")
    with pytest.raises(Rejected):
        await binance.cancel(cancel(OrderList.ATTACHED))


UNKNOWN_OUTCOMES = [
    pytest.param(DROP, id="reset"),
    pytest.param(HANG, id="timeout"),
    pytest.param(HTML, id="html"),
    pytest.param(Reply(body='{"orderId": 90'), id="half-a-json"),
    pytest.param(Reply(body="", status=200), id="nothing"),
    pytest.param(Reply(body="Service Unavailable", status=503), id="503"),
    pytest.param(reply({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 408), id="-1007"),
    pytest.param(reply({"code": -1006, "msg": "An unexpected response was received."}, 400), id="-1006"),
    pytest.param(reply({"code": -1001, "msg": "Internal error."}, 500), id="-1001"),
]


@pytest.mark.parametrize("answer", UNKNOWN_OUTCOMES)
async def test_binance_an_action_without_an_answer(binance: BinanceVenue, server: Loopback, answer: Reply) -> None:
    server.on(ALGO, answer)
    with pytest.raises(OutcomeUnknown):
        await binance.cancel(cancel(OrderList.CONDITIONAL))


@pytest.mark.parametrize(
    "answer",
    [
        *UNKNOWN_OUTCOMES[:6],
        pytest.param(reply(bybit_error(10000, "Server Timeout")), id="10000"),
        pytest.param(reply(bybit_error(10016, "Internal server error.")), id="10016"),
    ],
)
async def test_bybit_an_action_without_an_answer(bybit: BybitVenue, server: Loopback, answer: Reply) -> None:
    server.on(CANCEL, answer)
    with pytest.raises(OutcomeUnknown):
        await bybit.cancel(cancel())


async def test_what_never_left_is_no_unknown_outcome(binance: BinanceVenue, server: Loopback) -> None:
    await binance.catalog()
    await binance.clock()
    await server.stop()
    with pytest.raises(Unobserved, match="no connection"):
        await binance.cancel(cancel())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply({"code": -2011, "msg": "Unknown order sent."}, 400), UnknownOrder),
        (reply({"code": -4120, "msg": "Use the Algo Order API."}, 400), Rejected),
        (reply({"code": -2022, "msg": "ReduceOnly Order is rejected."}, 400), Rejected),
        (reply({"code": -1003, "msg": "Too many requests."}, 429), RateLimited),
        (reply({"code": -1021, "msg": "Timestamp outside of the recvWindow."}, 400), ClockSkewed),
        (reply({"code": -2015, "msg": "Invalid API-key."}, 401), AuthenticationRefused),
    ],
)
async def test_binance_a_refused_action(
    binance: BinanceVenue, server: Loopback, answer: Reply, error: type[TrueupError]
) -> None:
    server.on(ORDER, answer)
    with pytest.raises(error) as refused:
        await binance.cancel(cancel())
    assert type(refused.value) is error
    if isinstance(refused.value, Rejected):
        assert refused.value.code in answer.body
        assert refused.value.text in answer.body


@pytest.mark.parametrize(
    ("code", "error"),
    [(110001, UnknownOrder), (110008, UnknownOrder), (110007, Rejected), (10001, Rejected), (10006, RateLimited)],
)
async def test_bybit_a_refused_action(bybit: BybitVenue, server: Loopback, code: int, error: type[TrueupError]) -> None:
    server.on(CANCEL, reply(bybit_error(code, "no")))
    with pytest.raises(error) as refused:
        await bybit.cancel(cancel())
    assert type(refused.value) is error


async def test_bybit_cancels_in_the_orders_own_list(bybit: BybitVenue, server: Loopback) -> None:
    server.on(CANCEL, reply(bybit_answer([])))
    await bybit.cancel(cancel())
    await bybit.cancel(cancel(OrderList.CONDITIONAL, symbol="BTC/USD:BTC"))
    regular, conditional = server.asked(CANCEL)
    assert regular.params == {"category": "linear", "symbol": "BTCUSDT", "orderId": "900", "orderFilter": "Order"}
    assert conditional.params["category"] == "inverse"
    assert conditional.params["orderFilter"] == "StopOrder"


async def test_bybit_takes_a_stop_off_its_own_leg(bybit: BybitVenue, server: Loopback) -> None:
    rows = [
        bybit_position("BTCUSDT", "1", "Buy", 1, stopLoss="58000.00", takeProfit="70000"),
        bybit_position("BTCUSDT", "1", "Sell", 2, stopLoss="65000.00"),
    ]
    server.on(LIST, reply(bybit_answer(rows)))
    server.on(STOPS, reply(bybit_answer([])))
    attached = cancel(OrderList.ATTACHED, side=Side.SHORT, trigger_price=Decimal("65000"))
    await bybit.cancel(attached)
    (sent,) = server.asked(STOPS)
    assert sent.params == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "tpslMode": "Full",
        "positionIdx": "2",
        "stopLoss": "0",
    }


@pytest.mark.parametrize(
    "rows",
    [
        [bybit_position("BTCUSDT", "0", "", stopLoss="58000")],
        [bybit_position("BTCUSDT", "1", "Sell", stopLoss="58000")],
        [bybit_position("BTCUSDT", "1", "Buy", stopLoss="")],
        [bybit_position("BTCUSDT", "1", "Buy", stopLoss="57000")],
    ],
    ids=["flat", "other-side", "no-stop", "another-stop"],
)
async def test_bybit_takes_off_only_the_stop_that_is_meant(
    bybit: BybitVenue, server: Loopback, rows: list[dict[str, Any]]
) -> None:
    server.on(LIST, reply(bybit_answer(rows)))
    with pytest.raises(UnknownOrder):
        await bybit.cancel(cancel(OrderList.ATTACHED, trigger_price=Decimal("58000")))
    assert not server.asked(STOPS)


@pytest.mark.parametrize(
    "answer", [bybit_error(34040, "not modified"), bybit_error(10001, "can not set tp/sl/ts for zero position")]
)
async def test_bybit_a_stop_that_went_meanwhile_is_unknown(
    bybit: BybitVenue, server: Loopback, answer: dict[str, Any]
) -> None:
    server.on(LIST, reply(bybit_answer([bybit_position("BTCUSDT", "1", stopLoss="58000")])))
    server.on(STOPS, reply(answer))
    with pytest.raises(UnknownOrder):
        await bybit.cancel(cancel(OrderList.ATTACHED))


# Whose account it is, and what another surface says


async def test_binance_identity(binance: BinanceVenue, server: Loopback) -> None:
    server.on("/fapi/v3/balance", reply([]))
    server.on("/fapi/v2/balance", reply([{"accountAlias": "SgsR", "asset": "USDT"}]))
    identity = await binance.identity()
    assert (identity.fingerprint, identity.strength) == ("SgsR", "alias")


async def test_binance_an_account_that_cannot_be_told_is_unobserved(binance: BinanceVenue, server: Loopback) -> None:
    for version in (2, 3):
        server.on(f"/fapi/v{version}/balance", reply([{"asset": "USDT"}]))
    with pytest.raises(Unobserved):
        await binance.identity()


async def test_bybit_identity(bybit: BybitVenue, server: Loopback) -> None:
    server.on("/v5/user/query-api", reply({"retCode": 0, "result": {"userID": 24617703, "readOnly": 0}}))
    identity = await bybit.identity()
    assert (identity.fingerprint, identity.strength) == ("24617703", "user_id")


async def test_binance_facts(binance: BinanceVenue, server: Loopback) -> None:
    account = {"canTrade": True, "canWithdraw": True, "positions": []}
    server.on("/fapi/v2/account", reply(account, X_MBX_USED_WEIGHT_1M="37"))
    server.on("/fapi/v1/positionSide/dual", reply({"dualSidePosition": True}))
    facts = await binance.facts()
    assert (facts.hedge_mode, facts.can_trade, facts.can_withdraw) == (True, True, True)
    assert (facts.weight_used, facts.weight_limit) == (37, 2400)


@pytest.mark.parametrize(
    ("read_only", "wallet", "withdraws"), [(0, ["Withdraw"], True), (1, ["Withdraw"], False), (0, [], False)]
)
async def test_bybit_facts(
    bybit: BybitVenue, server: Loopback, read_only: int, wallet: list[str], withdraws: bool
) -> None:
    rights = {"ContractTrade": ["Order", "Position"], "Wallet": wallet}
    key = {"userID": 1, "readOnly": read_only, "permissions": rights}
    server.on("/v5/user/query-api", reply({"retCode": 0, "result": key}))
    info = {"marginMode": "PORTFOLIO_MARGIN", "unifiedMarginStatus": 1}
    server.on("/v5/account/info", reply({"retCode": 0, "result": info}))
    server.on(LIST, reply(bybit_answer([bybit_position("BTCUSDT", "0", "", index) for index in (1, 2)])))
    facts = await bybit.facts()
    assert (facts.read_only, facts.can_withdraw, facts.can_trade) == (bool(read_only), withdraws, not read_only)
    assert facts.portfolio_margin
    assert facts.hedge_mode
    assert any("classic" in warning for warning in facts.warnings)


async def test_binance_second_surface(binance: BinanceVenue, server: Loopback) -> None:
    rows = [binance_position("BTCUSDT", "1"), binance_position("ETHUSDT", "-2", "SHORT")]
    server.on("/fapi/v3/account", reply({"totalPositionInitialMargin": "12.5", "positions": rows}))
    surface = await binance.second_surface()
    assert surface.verdict("BTC/USDT:USDT", Side.LONG) is SurfaceVerdict.OPEN
    assert surface.verdict("ETH/USDT:USDT", Side.SHORT) is SurfaceVerdict.OPEN
    assert surface.verdict("BTC/USDT:USDT", Side.SHORT) is SurfaceVerdict.FLAT
    assert surface.any_position_margin


async def test_binance_a_second_surface_with_an_unknown_row_cannot_tell(
    binance: BinanceVenue, server: Loopback
) -> None:
    server.on("/fapi/v3/account", reply({"positions": [binance_position("NEWUSDT", "1")]}))
    assert (await binance.second_surface()).verdict("BTC/USDT:USDT", Side.LONG) is SurfaceVerdict.UNKNOWN


async def test_binance_a_second_surface_without_a_size_is_unobserved(binance: BinanceVenue, server: Loopback) -> None:
    server.on("/fapi/v3/account", reply({"positions": [{"symbol": "BTCUSDT"}]}))
    with pytest.raises(Unobserved):
        await binance.second_surface()


@pytest.mark.parametrize(
    ("margins", "any_margin"),
    [(["0", "1.5"], True), (["0", "0"], False), (["0", ""], None), ([], None), (["", "2"], True)],
)
async def test_bybit_second_surface(
    bybit: BybitVenue, server: Loopback, margins: list[str], any_margin: bool | None
) -> None:
    coins = [{"coin": f"C{number}", "totalPositionIM": margin} for number, margin in enumerate(margins)]
    server.on("/v5/account/wallet-balance", reply(bybit_answer([{"accountType": "UNIFIED", "coin": coins}])))
    surface = await bybit.second_surface()
    assert surface.any_position_margin is any_margin
    assert not surface.informative
    expected = SurfaceVerdict.FLAT if any_margin is False else SurfaceVerdict.UNKNOWN
    assert surface.verdict("BTC/USDT:USDT", Side.LONG) is expected


# Secrets


@pytest.mark.parametrize(
    "answer",
    [
        DROP,
        HANG,
        HTML,
        Reply(body=f"https://fapi/x?apiKey={KEY}&signature=abcdef {SECRET}", status=503),
        reply({"code": -1102, "msg": f"bad parameter in ?timestamp=1&signature=abcdef for {KEY}"}, 400),
    ],
)
async def test_no_secret_comes_out(
    binance: BinanceVenue, server: Loopback, answer: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("/fapi/v3/positionRisk", answer)
    with pytest.raises(Unobserved) as failed:
        await binance.positions()
    error = failed.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error) + caplog.text
    told += repr(binance) + repr(binance.client) + str(binance.client._exchange)
    for secret in (KEY, SECRET, "abcdef", "signature=abc"):
        assert secret not in told


def test_scrubbing() -> None:
    scrub = Scrubber(("k1", ""))
    assert scrub("GET https://x/y?a=k1&signature=ff failed") == "GET https://x/y?*** failed"
    assert scrub('{"apiKey": "zz", "signature":"ff"}') == '{"apiKey": "***", "signature":"***"}'
    assert len(scrub("x" * 900)) == 200
    assert scrub("HTTP 502: \x1f\x8b\x08\0\ud800\x7f\x85 é") == "HTTP 502: \ufffd\ufffd\ufffd\ufffd\ufffd é"
    assert "k1" not in repr(scrub)


def test_a_venue_without_an_adapter_is_named(clock: HandClock) -> None:
    with pytest.raises(ConfigurationError, match=r"accounts\.main\.venue: 'okx'"):
        open_venue(account="main", venue="okx", api_key="", api_secret="", clock=clock)


async def test_an_account_without_a_key_is_refused(server: Loopback, clock: HandClock) -> None:
    venue = open_venue(account="a", venue="bybit", api_key="", api_secret="", rest_url=server.url, clock=clock)
    server.on("/v5/market/time", reply({"retCode": 0, "result": {"timeNano": "1"}}))
    with pytest.raises(AuthenticationRefused, match="no key"):
        await venue.identity()
    await venue.aclose()


# Where requests go


async def test_a_proxy_is_the_way_out(server: Loopback, clock: HandClock) -> None:
    server.on("/fapi/v1/time", reply({"serverTime": 5}))
    venue = open_venue(
        account="a",
        venue="binanceusdm",
        api_key="k",
        api_secret="s",
        rest_url="http://venue.invalid",
        proxy=server.url,
        clock=clock,
    )
    await venue.clock()
    assert server.asked("/fapi/v1/time")[0].headers["Host"] == "venue.invalid"
    await venue.aclose()


@pytest.mark.parametrize(("venue", "hosts"), [("binanceusdm", {"fapi.binance.com"}), ("bybit", {"api.bybit.com"})])
def test_without_a_rest_url_only_the_futures_api_is_known(venue: str, hosts: set[str], clock: HandClock) -> None:
    client = make_client(venue, api_key="k", api_secret="s", rest_url=None, proxy=None, clock=clock)
    assert {urlsplit(url).netloc for url in client._exchange.urls["api"].values()} == hosts
    assert not client._exchange.has["fetchCurrencies"]
    assert not client._exchange.logger.isEnabledFor(logging.CRITICAL)  # it would tell every request's headers
