"""Signatures, clocks, rights, rate limits and unknown paths."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bybit_client import Client

from trueup.sim.bybit import BybitWire, LimitPolicy, build_wire
from trueup.sim.world import World

INFO = "/v5/account/info"


def test_a_signed_request_is_answered_in_the_envelope(client: Client) -> None:
    reply = client.get(INFO)
    assert reply.status == 200
    assert set(reply.body) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert (reply.code, reply.text) == (0, "OK")


def test_the_query_is_signed_as_it_came(client: Client) -> None:
    query = "category=linear&symbol=BTCUSDT&cursor=a%3Ab%2Cc"
    signed = client.signed(query)
    assert client.send("GET", "/v5/position/list", query, **signed).code == 0
    assert client.send("GET", "/v5/position/list", query.replace("%3A", ":"), **signed).code == 10004


def test_a_request_without_authentication_is_401(client: Client) -> None:
    reply = client.send("GET", INFO)
    assert (reply.status, reply.body) == (401, b"")


def test_an_unknown_key_is_10003(client: Client) -> None:
    client.account = replace(client.account, api_key="nobody")
    reply = client.get(INFO)
    assert (reply.status, reply.code, reply.text) == (200, 10003, "API key is invalid.")


def test_a_wrong_signature_is_10004_and_shows_no_secret(client: Client) -> None:
    secret = client.account.api_secret
    client.account = replace(client.account, api_secret="other")
    reply = client.get(INFO)
    assert reply.code == 10004
    assert reply.text.startswith("error sign! origin_string[")
    assert secret not in json.dumps(reply.body)


@pytest.mark.parametrize(("offset_ms", "code"), [(-5_000, 0), (-5_001, 10002), (999, 0), (1_000, 10002)])
def test_the_time_window_is_that_of_the_documentation(client: Client, offset_ms: int, code: int) -> None:
    stamp = client.world.now_ms() + offset_ms
    reply = client.send("GET", INFO, **client.signed("", stamp=stamp))
    assert reply.code == code
    if code:
        assert f"req_timestamp[{stamp}]" in reply.text
        assert "recv_window[5000]" in reply.text


def test_a_key_that_may_only_read_gets_10005_for_orders(world: World, wire: BybitWire) -> None:
    reader = Client.of(world, wire, "reader")
    reply = reader.order("BTCUSDT", "Buy", "0.01")
    assert reply.code == 10005
    assert reader.get("/v5/user/query-api").result["readOnly"] == 1


def test_a_moved_key_answers_for_the_other_account(world: World, wire: BybitWire, client: Client) -> None:
    before = client.get("/v5/user/query-api").result["userID"]
    world.move_key(client.account.api_key, "bybit", "hedge")
    other = Client.of(world, wire, "hedge").account
    client.account = replace(client.account, api_secret=other.api_secret)
    after = client.get("/v5/user/query-api").result["userID"]
    assert before != after == int(other.uid)


def test_account_of_names_the_key_s_account_without_checking_the_signature(client: Client) -> None:
    from trueup.sim.wire import WireRequest

    request = WireRequest("GET", INFO, "", {"x-bapi-api-key": client.account.api_key, "x-bapi-sign": "wrong"})
    assert client.wire.account_of(request) == "main"
    assert client.wire.account_of(WireRequest("GET", INFO)) is None


def test_the_limit_headers_count_down_within_a_second(client: Client) -> None:
    client.pause_ms = 0
    statuses = [client.get("/v5/user/query-api").headers["X-Bapi-Limit-Status"] for _ in range(3)]
    assert statuses == ["9", "8", "7"]
    client.world.advance(1_001)
    headers = client.get("/v5/user/query-api").headers
    assert headers["X-Bapi-Limit"] == "10"
    assert headers["X-Bapi-Limit-Status"] == "9"
    assert headers["X-Bapi-Limit-Reset-Timestamp"] == str(client.world.now_ms())


def test_beyond_the_limit_is_10006_until_the_second_is_over(client: Client, hedge: Client) -> None:
    client.pause_ms = hedge.pause_ms = 0
    started_ms = client.world.now_ms()
    replies = [client.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT") for _ in range(6)]
    assert [reply.code for reply in replies] == [0] * 5 + [10006]
    assert replies[-1].headers["X-Bapi-Limit-Status"] == "0"
    assert replies[-1].headers["X-Bapi-Limit-Reset-Timestamp"] == str(started_ms + 1_000)
    assert client.get(INFO).code == 0, "another endpoint has its own count"
    assert hedge.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT").code == 0, "so has another account"
    client.world.advance(1_000)
    assert client.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT").code == 0


def test_an_address_beyond_600_requests_in_5_seconds_is_403_for_ten_minutes(world: World) -> None:
    client = Client.of(world, build_wire(world), "main")
    client.pause_ms = 0
    assert {client.public("/v5/market/time").status for _ in range(600)} == {200}
    banned = client.public("/v5/market/time")
    assert (banned.status, banned.body) == (403, b"403, access too frequent")
    client.world.advance(599_999)
    assert client.public("/v5/market/time").status == 403
    client.world.advance(1)
    assert client.public("/v5/market/time").status == 200
    other = replace(client, client_ip="10.0.0.2")
    assert other.public("/v5/market/time").status == 200


def test_limits_can_be_lifted(world: World) -> None:
    client = Client.of(world, build_wire(world, LimitPolicy(ip_requests=None, per_account=False)), "main")
    client.pause_ms = 0
    assert {client.get("/v5/user/query-api").code for _ in range(700)} == {0}


@pytest.mark.parametrize(("method", "path"), [("GET", "/v5/nothing"), ("GET", "/v5/order/create"), ("DELETE", INFO)])
def test_an_unknown_path_is_404_with_10017(client: Client, method: str, path: str) -> None:
    reply = client.send(method, path)
    assert (reply.status, reply.code) == (404, 10017)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff\xfe", b'{"category": 5}', b'{"category": ["linear"]}'])
def test_no_body_makes_the_wire_raise(client: Client, body: bytes) -> None:
    signed = client.signed(body.decode("utf-8", "replace"))
    reply = client.send("POST", "/v5/order/create", "", body, **signed)
    assert (reply.status, reply.code) == (200, 10001)
