"""`trueup venue …`: how a served venue is started and directed, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_fakes import FakeServices, Run

from trueup.cli.services import VenueOptions
from trueup.model.errors import ConfigurationError, Rejected
from trueup.sim.control import DEFAULT_CONTROL_URL
from trueup.sim.faults import Fault, FaultKind


def asked(services: FakeServices) -> tuple[str, str, Any]:
    said = services.asked("venue_control")
    assert said["url"] == DEFAULT_CONTROL_URL
    return said["method"], said["path"], said["body"]


def test_serve_takes_its_options(run: Run, services: FakeServices) -> None:
    words = "--host 127.0.0.2 --port 7000 --control-port 0 --positions 0 --seed 5 --clock-offset-ms -300 --no-view"
    assert run("venue", "serve", *words.split(), "--scenario", "crash.toml").exit_code == 0
    assert services.asked("venue_serve")["options"] == VenueOptions(
        host="127.0.0.2",
        port=7000,
        control_port=0,
        positions=0,
        seed=5,
        clock_offset_ms=-300,
        scenario=Path("crash.toml"),
        view=False,
    )


def test_a_fault_is_sent_as_it_was_said(run: Run, services: FakeServices) -> None:
    services.control_answer = {"fault_id": 4}
    words = [
        "http_error",
        "--path",
        "/v5/*",
        "--query",
        "settleCoin=USDC",
        "--count",
        "3",
        "--in",
        "0.5",
        "--for",
        "60",
    ]
    result = run("venue", "fault", *words, "--status", "502", "--value", "")
    assert result.exit_code == 0
    assert result.stdout.startswith("fault 4 is on: http_error")
    assert asked(services) == (
        "POST",
        "/faults",
        {
            "kind": "http_error",
            "path": "/v5/*",
            "query": {"settleCoin": "USDC"},
            "count": "3",
            "in_ms": 500,
            "for_ms": 60_000,
            "status": "502",
            "value": "",
        },
    )


def test_every_scope_and_kind_of_a_fault_can_be_said(run: Run) -> None:
    shown = run("venue", "fault", "--help").stdout
    words = set(shown.replace(",", " ").replace(".", " ").split())
    assert {str(kind) for kind in FaultKind} <= words
    options = {f"--{name.replace('_', '-')}" for name in Fault.__dataclass_fields__} - {"--kind"}
    assert options - {"--from-ms", "--until-ms"} <= words
    assert {"--in", "--for"} <= words


def test_faults_are_listed(run: Run, services: FakeServices) -> None:
    services.control_answer = []
    assert run("venue", "faults").stdout == "no faults; add one with: trueup venue fault\n"
    fault = {"kind": "slow", "path": "/v5/*", "account": "a", "count": 3, "skip": 0, "query": {"symbol": "BTC*"}}
    everything = {"kind": "hang", "count": None, "query": {}}
    services.control_answer = [
        {"fault_id": 1, "fault": fault, "seen": 1, "hits": 1},
        {"fault_id": 12, "fault": everything, "seen": 0, "hits": 0},
    ]
    rows = run("venue", "faults").stdout.splitlines()
    assert [row.split() for row in rows] == [
        ["FAULT", "KIND", "HITS", "SCOPE"],
        ["1", "slow", "1", "of", "3", "path", "/v5/*,", "account", "a,", "symbol=BTC*"],
        ["12", "hang", "0", "everything"],
    ]
    assert json.loads(run("venue", "faults", "--json").stdout)[1]["fault_id"] == 12


def test_faults_are_taken_away(run: Run, services: FakeServices) -> None:
    services.control_answer = {"removed": True}
    assert run("venue", "clear").stdout == "no fault is left\n"
    assert asked(services) == ("DELETE", "/faults", None)
    services.calls.clear()
    assert run("venue", "clear", "3").stdout == "fault 3 is taken away\n"
    assert asked(services) == ("DELETE", "/faults/3", None)
    services.control_answer = {"removed": False}
    missing = run("venue", "clear", "3")
    assert (missing.exit_code, "no fault 3" in missing.stderr) == (2, True)


def test_an_action_is_sent_with_its_arguments(run: Run, services: FakeServices) -> None:
    services.control_answer = {"name": "carol", "venue": "bybit", "balances": {"USDT": "5"}, "note": None}
    result = run("venue", "do", "account", "name=carol", "venue=bybit", "balances.USDT=5", "text=a=b")
    body = {"name": "carol", "venue": "bybit", "balances": {"USDT": "5"}, "text": "a=b"}
    assert asked(services) == ("POST", "/account", body)
    assert result.stdout.splitlines() == [
        "name      carol",
        "venue     bybit",
        'balances  {"USDT": "5"}',
        "note      –",
    ]
    services.control_answer = [{"order_id": 1}]
    assert run("venue", "do", "cancel", "account=a").stdout == '{"order_id": 1}\n'
    services.control_answer = []
    assert run("venue", "do", "cancel", "account=a").stdout == "nothing\n"
    assert json.loads(run("venue", "do", "cancel", "account=a", "--json").stdout) == []


def test_without_an_action_it_lists_them(run: Run, services: FakeServices) -> None:
    services.control_answer = {"fund": "Pays funding now."}
    assert run("venue", "do").stdout == "fund  Pays funding now.\n"
    assert asked(services) == ("GET", "/actions", None)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("close needs 'symbol'"), 2), (Rejected("close", "NoPosition", "it holds none"), 1)],
)
def test_what_the_venue_says_is_told(run: Run, services: FakeServices, error: Exception, code: int) -> None:
    services.fail["venue_control"] = error
    result = run("venue", "do", "close", "--control", "http://127.0.0.1:1")
    assert result.exit_code == code
    assert str(error) in result.stderr
    assert services.asked("venue_control")["url"] == "http://127.0.0.1:1"
