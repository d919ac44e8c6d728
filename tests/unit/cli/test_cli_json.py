"""The JSON is what the schemas say, and the schemas say what the contract lists."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from cli_fakes import FakeServices, Run
from cli_samples import (
    NOW_MS,
    account_report,
    account_status,
    checks,
    closed,
    drift,
    event,
    explanation,
    full_account,
    hold,
    position,
    report,
)
from hypothesis import given
from hypothesis import strategies as st

from trueup.cli import render_json
from trueup.cli.output import Output
from trueup.cli.services import CloseOutcome, HoldOutcome
from trueup.config import Secret
from trueup.config.secrets import Redactor
from trueup.model.errors import InvariantBroken, StoreUnavailable
from trueup.model.events import EventType, Severity
from trueup.model.holds import HoldState
from trueup.model.orders import Side
from trueup.model.positions import Evidence, ExitReason
from trueup.model.reports import Replay, ReplayDifference

SCHEMAS = files("trueup.cli") / "schemas"
POSITION = [
    *("position_id", "account", "venue", "symbol", "side", "quantity", "contract_size", "entry_price", "mark_price"),
    *("status", "suspected_since", "unverified", "opened_at"),
]
CLOSED = [
    *POSITION,
    *("exit_price", "settle_asset", "realized_pnl", "fees", "funding", "net_pnl"),
    *("exit_reason", "evidence", "estimated", "complete", "closed_at"),
]
ORDER = ["order_id", "client_order_id", "symbol", "side", "kind", "trigger_price", "quantity"]
ACCOUNT = [
    *("venue", "mode", "observed", "error", "verified", "closed_phantom", "added_missing", "updated_quantity"),
    *("suspected", "held", "quarantined", "protection"),
]


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check(name: str, text: str) -> Any:
    value = json.loads(text)
    validator(name).validate(value)
    return value


def test_sync(run: Run, services: FakeServices) -> None:
    services.report = report(full_account(), account_report(account="spare", observed=False, error="HTTP 503"))

    value = check("sync", run("sync", "--json").stdout)

    assert list(value) == ["started_at", "finished_at", "accounts"]
    assert value["started_at"] == "2026-11-22T20:14:01.766Z"
    main = value["accounts"]["main"]
    assert list(main) == ACCOUNT
    assert list(main["verified"][0]) == POSITION
    assert list(main["closed_phantom"][0]) == CLOSED
    assert list(main["updated_quantity"][0]) == [*POSITION, "previous_quantity"]
    assert list(main["held"][0]) == ["hold_id", "kind", "positions"]
    assert list(main["protection"]) == ["placed", "cancelled", "failed", "orphans", "unprotected"]
    assert list(main["protection"]["placed"][0]) == ORDER
    assert main["quarantined"] == [
        {"symbol": "LUNCUSDT", "problem": "not in the market list"},
        {"symbol": "BNB/USDT:USDT", "problem": "no opening order is known yet"},
    ]
    spare = value["accounts"]["spare"]
    assert (spare["observed"], spare["error"]) == (False, "HTTP 503")
    assert not any(spare[name] for name in ACCOUNT[4:11])


def test_sync_that_failed_whole(run: Run, services: FakeServices) -> None:
    services.fail["open"] = StoreUnavailable("the database does not answer")

    value = check("sync", run("sync", "--json").stdout)

    assert {name: each["error"] for name, each in value["accounts"].items()} == dict.fromkeys(
        ("main", "spare"), "the database does not answer"
    )


def test_an_open_position_to_the_last_digit(run: Run, services: FakeServices) -> None:
    services.book = [position(), position(position_id=2, entry_price=None, current_price=None, contract_size=None)]

    first, unknown = check("positions", run("positions", "--json").stdout)

    assert first == {
        "position_id": 1,
        "account": "main",
        "venue": "binanceusdm",
        "symbol": "BTC/USDT:USDT",
        "side": "long",
        "quantity": "0.010",
        "contract_size": "1",
        "entry_price": "60000.00",
        "mark_price": "61000.5",
        "status": "active",
        "suspected_since": None,
        "unverified": False,
        "opened_at": "2026-11-22T20:13:51.000Z",
    }
    assert (unknown["entry_price"], unknown["mark_price"], unknown["contract_size"]) == (None, None, None)


def test_a_closed_position_to_the_last_digit(run: Run, services: FakeServices) -> None:
    services.book = [closed(), closed(evidence=Evidence.ABSENCE, close={"exit_price": None, "realized_pnl": None})]

    first, absent = check("positions", run("positions", "--json", "--status", "all").stdout)

    assert {name: first[name] for name in CLOSED[len(POSITION) :]} == {
        "exit_price": "150.10",
        "settle_asset": "USDT",
        "realized_pnl": "12.30",
        "fees": [{"asset": "USDT", "amount": "0.02"}, {"asset": "BNB", "amount": "0.0001"}],
        "funding": "-0.5",
        "net_pnl": None,
        "exit_reason": "take_profit",
        "evidence": "fills",
        "estimated": False,
        "complete": True,
        "closed_at": "2026-11-22T20:14:00.000Z",
    }
    assert first["quantity"] == "10"
    assert (absent["estimated"], absent["exit_price"], absent["realized_pnl"]) == (True, None, None)


def test_what_is_not_in_the_book_yet_has_no_id(run: Run, services: FakeServices) -> None:
    services.report = report(full_account(added_missing=(position(position_id=0),)))

    main = check("sync", run("sync", "--json", "--dry-run").stdout)["accounts"]["main"]

    assert main["added_missing"][0]["position_id"] is None
    assert main["held"][1]["positions"][0]["position_id"] is None


def test_events(run: Run, services: FakeServices) -> None:
    data: dict[str, object] = {
        "price": Decimal("1.10"),
        "nested": [{"quantity": Decimal("1E-7")}],
        "none": None,
        "n": 3,
    }
    services.log = [event(data=data), event(event_id=2, account=None, symbol=None, position_id=None)]

    first, second = (check("event", line) for line in run("events", "--json").stdout.splitlines())

    assert list(first) == ["event_id", "at", "type", "severity", "account", "symbol", "position_id", "data"]
    assert first["data"] == {"price": "1.10", "nested": [{"quantity": "0.0000001"}], "none": None, "n": 3}
    assert (second["account"], second["symbol"], second["position_id"]) == (None, None, None)


def test_the_other_results(run: Run, services: FakeServices) -> None:
    services.raised = [hold(), hold(hold_id=4, state=HoldState.REJECTED, decided_at_ms=NOW_MS, note="")]
    services.accounts = (
        account_status(),
        account_status(account="spare", owner=None, last_good_at_ms=None, error="HTTP 503", drift=(drift("x"),)),
    )
    services.explanations = {1: explanation(position=position()), 3: explanation()}
    services.checks = checks()
    services.outcome = HoldOutcome(
        hold_id=3, state=HoldState.DONE, done=True, message="m", report=report(full_account())
    )

    assert len(check("holds", run("holds", "--all", "--json").stdout)) == 2
    assert check("status", run("status", "--json").stdout)["accounts"]["spare"]["error"] == "HTTP 503"
    assert check("explanation", run("explain", "1", "--json").stdout)["position"]["status"] == "active"
    assert check("explanation", run("explain", "3", "--json").stdout)["steps"][1]["data"] == {
        "fills": [{"price": "150.10"}]
    }
    assert len(check("doctor", run("doctor", "--json").stdout)["checks"]) == 3
    assert check("outcome", run("approve", "3", "--json").stdout)["report"]["accounts"]["main"]["mode"] == "sync"
    services.outcome = HoldOutcome(hold_id=3, state=HoldState.REJECTED, done=True, message="m")
    assert check("outcome", run("reject", "3", "--json").stdout)["report"] is None


def test_empty_results_are_empty_lists(run: Run) -> None:
    assert check("positions", run("positions", "--json").stdout) == []
    assert check("holds", run("holds", "--json").stdout) == []
    assert run("events", "--json").stdout == ""


def test_a_closed_list_with_an_open_position_is_our_fault() -> None:
    with pytest.raises(InvariantBroken, match="listed as closed"):
        render_json.closed_json(position())


def test_the_schemas_share_one_definition_of_each_shape() -> None:
    seen: dict[str, Any] = {}
    for file in SCHEMAS.iterdir():
        for name, definition in json.loads(file.read_text(encoding="utf-8")).get("$defs", {}).items():
            assert seen.setdefault(name, definition) == definition, f"{name} of {file.name}"
    assert seen["position"]["required"] == POSITION
    assert seen["closed"]["required"] == CLOSED
    assert seen["order"]["required"] == ORDER
    assert seen["account"]["required"] == ACCOUNT
    assert set(seen["closed"]["properties"]["exit_reason"]["enum"]) == set(ExitReason)
    assert set(seen["closed"]["properties"]["evidence"]["enum"]) == set(Evidence)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("quantity", 0.01),
        ("quantity", "1e-5"),
        ("quantity", "-1"),
        ("quantity", "0"),
        ("entry_price", 60000),
        ("opened_at", "2026-11-22T20:13:51Z"),
        ("opened_at", "2026-11-22T20:13:51.000+00:00"),
        ("position_id", 0),
        ("side", "LONG"),
        ("extra", 1),
    ],
)
def test_the_schema_refuses_what_the_contract_forbids(name: str, change: object) -> None:
    value = render_json.position_json(position())
    validator("positions").validate([value])

    with pytest.raises(jsonschema.ValidationError):
        validator("positions").validate([value | {name: change}])


_amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15)
_positive = _amounts.filter(lambda amount: amount > 0)


@given(
    quantity=_positive,
    price=st.none() | _positive,
    pnl=st.none() | _amounts,
    at_ms=st.integers(0, 4_000_000_000_000),
    side=st.sampled_from(Side),
    evidence=st.sampled_from(Evidence),
    reason=st.sampled_from(ExitReason),
    severity=st.sampled_from(Severity),
    kind=st.sampled_from(EventType),
)
def test_any_value_gives_valid_json_with_its_own_digits(
    quantity: Decimal,
    price: Decimal | None,
    pnl: Decimal | None,
    at_ms: int,
    side: Side,
    evidence: Evidence,
    reason: ExitReason,
    severity: Severity,
    kind: EventType,
) -> None:
    details = {"quantity": quantity, "exit_price": price, "realized_pnl": pnl, "exit_reason": reason}
    ended = closed(evidence=evidence, side=side, opened_at_ms=at_ms, close=details)
    text = json.dumps([render_json.any_position_json(ended)])
    told = json.dumps(render_json.event_json(event(at_ms=at_ms, severity=severity, type=kind, data={"q": quantity})))

    (value,) = check("positions", text)
    assert Decimal(value["quantity"]) == quantity
    assert (value["realized_pnl"] is None) == (pnl is None)
    assert pnl is None or Decimal(value["realized_pnl"]) == pnl
    assert Decimal(check("event", told)["data"]["q"]) == quantity


def test_replay(run: Run, services: FakeServices) -> None:
    assert check("replay", run("replay", "--json").stdout) == {"decided": 0, "differences": []}
    found = ReplayDifference(
        observation_id=4, account="main", position_id=None, at_ms=1_767_225_600_000, recorded="{}", now="null"
    )
    services.replayed = Replay(decided=9, differences=(found,))
    shown = run("replay", "--json", "--since", "2026-01-01T00:00:00Z")
    assert shown.exit_code == 3
    assert check("replay", shown.stdout)["differences"][0]["at"] == "2026-01-01T00:00:00.000Z"
    assert ("replay", {"since_ms": 1_767_225_600_000}) in services.calls
    assert "observation 4" in run("replay").stdout
    assert run("replay", "--since", "yesterday").exit_code == 2


def test_what_a_close_came_to(run: Run, services: FakeServices) -> None:
    services.close_outcome = CloseOutcome(
        account="main", done=False, message="m", closed=(closed(),), open=(position(),)
    )

    for words in (("close", "main", "BTC/USDT:USDT"), ("close-all", "main", "--yes")):
        result = run(*words, "--json")
        shown = check("close", result.stdout)
        assert (shown["done"], len(shown["closed"]), len(shown["open"]), result.exit_code) == (False, 1, 1, 5)


@pytest.mark.parametrize("one_line", [True, False])
def test_a_secret_is_struck_out_of_texts_and_never_out_of_a_number(
    capsys: pytest.CaptureFixture[str], one_line: bool
) -> None:
    odd = 'pa"ss\\wörd'
    redactor = Redactor()
    for secret in ("4321", "null", odd):
        redactor.add(Secret(secret))

    document = {"position_id": 4321, "note": "key 4321", odd: [f"<{odd}>", None, 1.5, True], "plain": "ä"}
    Output(redactor.clean).json(document, one_line=one_line)

    shown = json.loads(capsys.readouterr().out)
    assert shown == {"position_id": 4321, "note": "key ***", "***": ["<***>", None, 1.5, True], "plain": "ä"}
