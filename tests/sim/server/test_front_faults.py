"""Faults (faults.py, invariants 1 to 3; front.py 1 to 3) without sockets: what the client gets, and whose turn it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trueup.sim.faults import Fault, FaultKind
from trueup.sim.front import Front, Outcome
from trueup.sim.wire import StreamRefused, WireRequest, is_stream, venue_of
from trueup.sim.world import ManualClock, World

POSITIONS = "/v5/position/positions"


def ask(front: Front, path: str = POSITIONS, query: str = "", account: str = "by", **more: Any) -> Outcome:
    return front.handle(WireRequest(more.pop("method", "GET"), path, query, {"x-account": account}, **more))


def body_of(outcome: Outcome) -> Any:
    assert outcome.response is not None
    return json.loads(outcome.response.body)


def rows(outcome: Outcome) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = body_of(outcome)["result"]["list"]
    return listed


def test_without_faults_nothing_is_changed(manual: Front) -> None:
    outcome = ask(manual)
    assert outcome.response is not None
    assert outcome.response.headers["X-Fake"] == "yes"
    assert (outcome.wait_ms, outcome.drip_ms, outcome.disconnect, outcome.hang) == (0, 0, False, False)


def test_http_errors_carry_nothing_out(manual: Front) -> None:
    manual.add_fault(Fault(FaultKind.HTTP_ERROR, status=502, body="<html>bad gateway</html>", count=1))
    outcome = ask(manual, "/v5/order/open", method="POST")
    assert outcome.response is not None
    assert (outcome.response.status, outcome.response.body) == (502, b"<html>bad gateway</html>")
    assert manual.world.look("by").positions() == []
    assert rows(ask(manual)) == []


def test_html_and_half_a_body(manual: Front) -> None:
    manual.world.open_position("by", "BTCUSDT", "long", "0.01")
    whole = ask(manual).response
    manual.add_fault(Fault(FaultKind.HTML, count=1))
    html = ask(manual).response
    assert html is not None
    assert html.status == 200
    assert html.body.startswith(b"<html>")
    manual.add_fault(Fault(FaultKind.TRUNCATED, count=1))
    half = ask(manual).response
    assert half is not None
    assert whole is not None
    assert half.body == whole.body[: len(whole.body) // 2]
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(half.body)


def test_empty_lists_and_changed_rows(manual: Front) -> None:
    manual.world.open_position("by", "BTCUSDT", "long", "0.01")
    manual.add_fault(Fault(FaultKind.EMPTY, count=1))
    empty = body_of(ask(manual))["result"]
    assert empty == {"list": [], "nextPageCursor": ""}
    manual.add_fault(Fault(FaultKind.DROP_FIELD, field="size", count=1))
    assert rows(ask(manual)) == [{"symbol": "BTCUSDT", "side": "buy"}]
    manual.add_fault(Fault(FaultKind.SET_FIELD, field="size", value="oops", count=1))
    assert rows(ask(manual))[0]["size"] == "oops"
    assert rows(ask(manual))[0]["size"] == "0.01"


def test_rate_limits_bans_and_maintenance_speak_as_the_venue(manual: Front) -> None:
    manual.add_fault(Fault(FaultKind.RATE_LIMIT, venue="binance", retry_after_s=7, count=1))
    limited = ask(manual, "/fapi/v3/positionRisk", account="bn").response
    assert limited is not None
    assert (limited.status, limited.headers["Retry-After"]) == (429, "7")
    assert json.loads(limited.body)["code"] == -1003
    manual.add_fault(Fault(FaultKind.BANNED, count=2))
    banned = [ask(manual, path, account="bn").response for path in ("/fapi/v1/time", "/v5/market/time")]
    assert [answer.status for answer in banned if answer] == [418, 403]
    manual.add_fault(Fault(FaultKind.RATE_LIMIT, venue="bybit", count=1))
    bybit = ask(manual).response
    assert bybit is not None
    assert json.loads(bybit.body)["retCode"] == 10006
    assert bybit.headers["X-Bapi-Limit-Status"] == "0"
    manual.add_fault(Fault(FaultKind.MAINTENANCE, count=2))
    assert body_of(ask(manual))["retCode"] == 10016
    assert body_of(ask(manual, "/fapi/v1/time", account="bn"))["code"] == -1016


def test_answers_lost_after_the_action_was_carried_out(manual: Front) -> None:
    for number, (then, expected) in enumerate(
        [("disconnect", Outcome(disconnect=True)), ("hang", Outcome(hang=True))], start=1
    ):
        manual.add_fault(Fault(FaultKind.ANSWER_LOST, path="*/open", then=then, count=1))
        assert ask(manual, "/v5/order/open", method="POST") == expected
        assert len(manual.world.look("by").fills()) == number
    manual.add_fault(Fault(FaultKind.ANSWER_LOST, path="*/open", then="error", count=1))
    assert body_of(ask(manual, "/v5/order/open", method="POST"))["retCode"] == 10000
    assert len(manual.world.look("by").fills()) == 3
    manual.add_fault(Fault(FaultKind.ANSWER_LOST, path="*/open", then="error", count=1))
    lost = ask(manual, "/fapi/v1/open", method="POST", account="bn").response
    assert lost is not None
    assert lost.status == 503
    assert json.loads(lost.body)["code"] == -1007
    assert len(manual.world.look("bn").fills()) == 1


def test_slowness_is_a_value(manual: Front) -> None:
    for when, expected in (("before", (300, 0, 0)), ("after", (0, 300, 0)), ("drip", (0, 0, 300))):
        manual.add_fault(Fault(FaultKind.SLOW, when=when, delay_ms=300, count=1))
        request = WireRequest("GET", POSITIONS, headers={"x-account": "by"})
        admission = manual.admit(request)
        outcome = manual.answer(request, admission)
        assert (admission.wait_ms, outcome.wait_ms, outcome.drip_ms) == expected


def test_hanging_and_disconnecting_carry_nothing_out(manual: Front) -> None:
    manual.add_fault(Fault(FaultKind.HANG, count=1))
    assert ask(manual, "/v5/order/open", method="POST") == Outcome(hang=True)
    manual.add_fault(Fault(FaultKind.DISCONNECT, count=1))
    assert ask(manual, "/v5/order/open", method="POST") == Outcome(disconnect=True)
    assert manual.world.look("by").fills() == []


def test_stale_answers_show_the_state_of_then(manual: Front) -> None:
    manual.world.open_position("by", "BTCUSDT", "long", "0.01")
    manual.world.advance(5_000)
    manual.world.close_position("by", "BTCUSDT")
    manual.world.advance(5_000)
    planned = manual.add_fault(Fault(FaultKind.STALE, path=POSITIONS, lag_ms=6_000))
    assert rows(ask(manual))[0]["size"] == "0.01"
    manual.world.advance(1_000)
    assert rows(ask(manual)) == []
    manual.faults.remove(planned.fault_id)
    assert rows(ask(manual)) == []


def test_one_list_lags_behind_the_other(manual: Front) -> None:
    world = manual.world
    world.open_position("by", "BTCUSDT", "long", "0.01")
    from trueup.sim.actions import perform

    perform(
        manual,
        "order",
        {
            "account": "by",
            "symbol": "BTCUSDT",
            "side": "sell",
            "kind": "stop",
            "quantity": "0.01",
            "trigger_price": "59000",
            "reduce_only": True,
        },
    )
    world.advance(1_000)
    manual.add_fault(Fault(FaultKind.STALE, path="*/orders", lag_ms=2_000))
    world.advance(500)
    assert rows(ask(manual))
    assert rows(ask(manual, "/v5/order/orders")) == []
    assert ask(manual, "/v5/order/open", method="POST").response is not None
    world.advance(2_000)
    assert rows(ask(manual, "/v5/order/orders"))


def test_scope_by_path_query_account_method_and_address(manual: Front) -> None:
    scopes: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ({"path": "/v5/position/*"}, {}, {"path": "/v5/order/orders"}),
        ({"query": {"settleCoin": "USDC"}}, {"query": "category=linear&settleCoin=USDC"}, {"query": "settleCoin=USDT"}),
        ({"query": {"cursor": "?*"}}, {"query": "cursor=abc"}, {"query": ""}),
        ({"query": {"symbol": ""}}, {"query": ""}, {"query": "symbol=BTCUSDT"}),
        ({"account": "by"}, {"account": "by"}, {"account": "bn"}),
        ({"method": "post"}, {"method": "POST"}, {"method": "GET"}),
        ({"client_ip": "10.0.0.1"}, {"client_ip": "10.0.0.1"}, {}),
        ({"venue": "bybit"}, {}, {"path": "/fapi/v3/positionRisk"}),
        (
            {"query": {"orderLinkId": "tu-*"}},
            {"method": "POST", "body": b'{"orderLinkId":"tu-1"}'},
            {"method": "POST", "body": b'{"orderLinkId":"x"}'},
        ),
    ]
    for scope, hit, missed in scopes:
        planned = manual.add_fault(Fault(FaultKind.DISCONNECT, **scope))
        assert ask(manual, **missed).disconnect is False, scope
        assert ask(manual, **hit).disconnect is True, scope
        assert planned.hits == 1
        manual.faults.clear()


def test_the_second_page_fails_twice_and_then_no_more(manual: Front) -> None:
    manual.add_fault(Fault(FaultKind.HTTP_ERROR, skip=1, count=2))
    assert [ask(manual).response.status for _ in range(5)] == [200, 503, 503, 200, 200]  # type: ignore[union-attr]


def test_a_window_of_time(manual: Front) -> None:
    now = manual.world.now_ms()
    manual.add_fault(Fault(FaultKind.DISCONNECT, from_ms=now + 1_000, until_ms=now + 2_000))
    struck = []
    for _ in range(4):
        struck.append(ask(manual).disconnect)
        manual.world.advance(700)
    assert struck == [False, False, True, False]


def test_probability_is_seeded() -> None:
    def run(seed: int) -> list[bool]:
        from fake_wire import FakeWire

        world = World(ManualClock(0))
        world.add_account("by", "bybit")
        front = Front(world, [FakeWire(world)], fault_seed=seed)
        front.add_fault(Fault.from_json({"kind": "disconnect", "probability": "0.5"}))
        return [ask(front).disconnect for _ in range(60)]

    assert run(1) == run(1) != run(2)
    assert 15 < sum(run(1)) < 45


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"kind": "explode"}, "kind"),
        ({"kind": "slow", "delay": 3}, "delay"),
        ({"kind": "slow", "when": "never"}, "never"),
        ({"kind": "drop_field"}, "field"),
        ({"kind": "clock_skew"}, "offset_ms"),
        ({"kind": "answer_lost", "then": "cry"}, "cry"),
    ],
)
def test_impossible_faults_are_errors(data: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Fault.from_json(data)


def messages(front: Front) -> list[str]:
    """Three position changes, a second apart, as the client of one stream sees them arrive."""
    gate = front.open_stream("/v5/private", "account=by")
    seen: list[str] = []
    for step in ("0.01", "0.02", "0.03"):
        front.world.open_position("by", "BTCUSDT", "long", "0.01")
        front.tick()
        seen += [json.loads(text)["size"] for text in gate.due(front.world.now_ms())]
        seen.append(f"t{step[-1]}")
        front.world.advance(1_000)
    front.world.advance(10_000)
    seen += [json.loads(text)["size"] for text in gate.due(front.world.now_ms())]
    assert gate.next_due_ms() is None
    return seen


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, ["0.01", "t1", "0.02", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_DROP, skip=1, count=1), ["0.01", "t1", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_DUPLICATE, count=1), ["0.01", "0.01", "t1", "0.02", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_DELAY, delay_ms=1_500, count=1), ["t1", "0.02", "t2", "0.01", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_REORDER, delay_ms=5_000, count=1), ["t1", "0.02", "0.01", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_REORDER, delay_ms=5_000, skip=2), ["0.01", "t1", "0.02", "t2", "t3", "0.03"]),
        (Fault(FaultKind.STREAM_SILENT), ["t1", "t2", "t3"]),
        (Fault(FaultKind.STREAM_DROP, text='"size": "0.02"'), ["0.01", "t1", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_DROP, account="bn"), ["0.01", "t1", "0.02", "t2", "0.03", "t3"]),
        (Fault(FaultKind.STREAM_DROP, path="/v5/public/*"), ["0.01", "t1", "0.02", "t2", "0.03", "t3"]),
    ],
)
def test_stream_messages(manual: Front, fault: Fault | None, expected: list[str]) -> None:
    if fault is not None:
        manual.add_fault(fault)
    assert messages(manual) == expected


def test_streams_are_cut_refused_and_forgotten(manual: Front) -> None:
    gate = manual.open_stream("/v5/private", "account=by")
    manual.add_fault(Fault(FaultKind.STREAM_DISCONNECT, account="by", count=1))
    manual.tick()
    assert gate.cut
    manual.close_stream(gate)
    manual.close_stream(gate)
    assert gate.session.forgotten  # type: ignore[attr-defined]
    manual.add_fault(Fault(FaultKind.STREAM_REFUSED, status=503, count=1))
    with pytest.raises(StreamRefused) as refused:
        manual.open_stream("/v5/private", "")
    assert refused.value.status == 503
    manual.open_stream("/v5/private", "")
    with pytest.raises(StreamRefused):
        manual.open_stream("/v5/private", "bad")


def test_sessions_are_closed_when_somebody_wants_them_cut(manual: Front) -> None:
    mine, other = (manual.open_stream("/v5/private", f"account={name}") for name in ("by", "bn"))
    manual.world.cut_streams("by")
    assert (mine.session.closed, other.session.closed) == (True, False)
    manual.world.cut_streams()
    assert other.session.closed


def test_maintenance_refuses_requests_and_streams_and_ends(manual: Front) -> None:
    gate = manual.open_stream("/v5/private", "account=by")
    now = manual.world.now_ms()
    manual.add_fault(Fault(FaultKind.MAINTENANCE, venue="bybit", until_ms=now + 60_000))
    manual.tick()
    assert gate.cut
    with pytest.raises(StreamRefused):
        manual.open_stream("/v5/private", "")
    assert body_of(ask(manual))["retCode"] == 10016
    assert rows(ask(manual, "/fapi/v3/positions", account="bn")) == []
    manual.world.advance(60_000)
    assert rows(ask(manual)) == []


def test_listen_keys_expire_now_or_at_their_time(manual: Front) -> None:
    gate = manual.open_stream("/private/ws", "account=bn")
    manual.add_fault(Fault(FaultKind.LISTEN_KEYS_EXPIRED, account="bn"))
    now = manual.world.now_ms()
    manual.add_fault(Fault(FaultKind.LISTEN_KEYS_EXPIRED, from_ms=now + 5_000))
    assert gate.due(now) == ['{"e":"listenKeyExpired"}']
    manual.world.advance(4_999)
    assert gate.due(manual.world.now_ms()) == []
    manual.world.advance(1)
    assert len(gate.due(manual.world.now_ms())) == 1


def test_the_venues_clock_is_skewed_for_a_while(manual: Front) -> None:
    before = body_of(ask(manual))["time"]
    manual.add_fault(Fault(FaultKind.CLOCK_SKEW, offset_ms=30_000, until_ms=before + 90_000))
    assert body_of(ask(manual))["time"] == before + 30_000
    manual.world.advance(60_000)
    assert manual.world.clock.now_ms() == before + 60_000
    assert body_of(ask(manual))["time"] == before + 90_000
    manual.world.advance(31_000)
    assert body_of(ask(manual))["time"] == before + 91_000


def test_clock_skew_needs_a_clock_that_can_be_skewed() -> None:
    front = Front(World(ManualClock(0)), [])
    with pytest.raises(ValueError, match="SkewedClock"):
        front.add_fault(Fault(FaultKind.CLOCK_SKEW, offset_ms=1_000))
    assert front.faults.planned() == []


@pytest.mark.parametrize(
    ("path", "venue", "stream"),
    [
        ("/fapi/v3/positionRisk", "binance", False),
        ("/ws/abc", "binance", True),
        ("/stream", "binance", True),
        ("/private/ws", "binance", True),
        ("/market/ws", "binance", True),
        ("/v5/position/list", "bybit", False),
        ("/v5/private", "bybit", True),
        ("/v5/public/linear", "bybit", True),
        ("/wsx", None, False),
        ("/", None, False),
    ],
)
def test_paths_belong_to_their_venue(path: str, venue: str | None, stream: bool) -> None:
    assert venue_of(path) == venue
    assert is_stream(path) is stream


def test_a_path_of_nobody_is_not_found(manual: Front) -> None:
    outcome = ask(manual, "/api/v3/account")
    assert outcome.response is not None
    assert outcome.response.status == 404
