"""Keys, signatures, timestamps: what is let in and what is not."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from binance_client import START_MS, Client, make_client, sign

from trueup.sim.world import World

BALANCE = "/fapi/v2/balance"


def signed_query(client: Client, **params: object) -> str:
    encoded = urlencode(params)
    return f"{encoded}&signature={sign(client.account, encoded)}"


def test_public_endpoints_need_no_key(client: Client) -> None:
    assert client.public("/fapi/v1/ping").body == {}
    assert client.public("/fapi/v1/time").body == {"serverTime": START_MS}


def test_a_request_without_key_is_refused(client: Client) -> None:
    reply = client.raw("GET", BALANCE, signed_query(client, timestamp=START_MS))
    assert (reply.status, reply.code) == (401, -2014)


def test_an_unknown_key_is_refused_and_named_by_address(client: Client) -> None:
    reply = client.raw("GET", BALANCE, signed_query(client, timestamp=START_MS), key="nobody's")
    assert (reply.status, reply.code) == (401, -2015)
    assert reply.body["msg"].endswith("request ip: 10.0.0.1")


def test_the_key_of_a_bybit_account_is_unknown_here(world: World, client: Client) -> None:
    other = world.add_account("other", "bybit")
    reply = client.raw("GET", BALANCE, signed_query(client, timestamp=START_MS), key=other.api_key)
    assert reply.code == -2015


@pytest.mark.parametrize("name", ["timestamp", "signature"])
def test_timestamp_and_signature_are_mandatory(client: Client, name: str) -> None:
    query = signed_query(client, timestamp=START_MS) if name == "timestamp" else f"timestamp={START_MS}"
    if name == "timestamp":
        query = signed_query(client, recvWindow=5000)
    reply = client.raw("GET", BALANCE, query, key=client.account.api_key)
    assert (reply.status, reply.code) == (400, -1102)
    assert name in reply.body["msg"]


@pytest.mark.parametrize(
    ("age_ms", "window", "code"),
    [
        (0, None, None),
        (5_000, None, None),
        (5_001, None, -1021),
        (-999, None, None),
        (-1_000, None, -1021),
        (30_000, 60_000, None),
        (2_000, 1_000, -1021),
        (0, 60_001, -1131),
    ],
)
def test_the_age_of_a_request(client: Client, age_ms: int, window: int | None, code: int | None) -> None:
    params = {} if window is None else {"recvWindow": window}
    reply = client.call("GET", BALANCE, timestamp=START_MS - age_ms, **params)
    assert (None if reply.status == 200 else reply.code) == code


def test_a_request_from_the_future_is_told_so(client: Client) -> None:
    reply = client.call("GET", BALANCE, timestamp=START_MS + 1_000)
    assert reply.body["msg"] == "Timestamp for this request was 1000ms ahead of the server's time."


def test_a_signature_holds_for_its_exact_text_only(client: Client) -> None:
    query = signed_query(client, timestamp=START_MS, recvWindow=5000)
    key = client.account.api_key
    assert client.raw("GET", BALANCE, query, key=key).status == 200
    changed = client.raw("GET", BALANCE, query.replace("5000", "5001"), key=key)
    assert (changed.status, changed.code) == (400, -1022)
    reordered = "recvWindow=5000&" + query.replace("&recvWindow=5000", "")
    assert client.raw("GET", BALANCE, reordered, key=key).code == -1022
    assert client.raw("GET", BALANCE, query.replace("signature=", "signature=0"), key=key).code == -1022


def test_query_and_body_are_signed_together(client: Client) -> None:
    query = "symbol=BTCUSDT&side=BUY&type=MARKET"
    body = f"quantity=0.010&timestamp={START_MS}"
    signature = sign(client.account, query + body)
    signed = f"{body}&signature={signature}".encode()
    reply = client.raw("POST", "/fapi/v1/order", query, signed, key=client.account.api_key)
    assert reply.status == 200
    wrong = f"{body}&signature={sign(client.account, body)}".encode()
    assert client.raw("POST", "/fapi/v1/order", query, wrong, key=client.account.api_key).code == -1022


def test_one_parameter_twice_is_refused(client: Client) -> None:
    reply = client.raw("GET", "/fapi/v1/ticker/price", "symbol=BTCUSDT&symbol=ETHUSDT")
    assert reply.code == -1101


def test_a_portfolio_margin_account_is_refused_everywhere_but_at_its_own_host(world: World) -> None:
    client = make_client(world, portfolio_margin=True)
    for path in ("/fapi/v3/positionRisk", BALANCE, "/fapi/v1/positionSide/dual"):
        reply = client.call("GET", path)
        assert (reply.status, reply.code) == (401, -2015)
    assert client.raw("POST", "/fapi/v1/listenKey", key=client.account.api_key).code == -2015
    restrictions = client.get("/sapi/v1/account/apiRestrictions")
    assert restrictions["enablePortfolioMarginTrading"] is True
    assert restrictions["enableFutures"] is False


def test_a_key_that_may_not_trade_can_still_look(world: World) -> None:
    client = make_client(world, can_trade=False)
    assert client.call("GET", BALANCE).status == 200
    assert client.order().code == -2015
    assert world.look("main").orders() == []


def test_a_moved_key_answers_for_the_other_account(world: World, client: Client) -> None:
    world.add_account("other", "binance", alias="elsewhere", api_secret=client.account.api_secret)
    world.move_key(client.account.api_key, "binance", "other")
    assert {row["accountAlias"] for row in client.get(BALANCE)} == {"elsewhere"}


def test_an_unknown_path_is_not_found(client: Client) -> None:
    reply = client.raw("GET", "/fapi/v1/nothing")
    assert (reply.status, reply.body["code"]) == (404, -5000)
    assert client.raw("POST", "/fapi/v1/time").status == 404


def test_no_answer_and_no_repr_shows_a_secret(client: Client) -> None:
    secret = client.account.api_secret
    replies = [client.call("GET", "/fapi/v2/account"), client.call("GET", BALANCE, timestamp=1)]
    assert all(secret not in str(reply.body) and secret not in str(reply.headers) for reply in replies)
    assert secret not in repr(client.account)
