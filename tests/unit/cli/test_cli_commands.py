"""Each command asks its services for the right thing and prints what it got."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fakes import FakeServices, Run
from cli_samples import (
    account_report,
    account_status,
    checks,
    closed,
    event,
    explanation,
    full_account,
    hold,
    position,
    report,
)

from trueup.cli.services import CloseOutcome, HoldOutcome, VenueOptions
from trueup.model.errors import StoreUnavailable
from trueup.model.events import EventType
from trueup.model.holds import HoldState
from trueup.model.reports import Check


def test_sync_works_on_all_accounts_unless_told_otherwise(run: Run, services: FakeServices) -> None:
    services.report = report()

    run("sync")
    assert services.asked("sync") == {"accounts": ["main", "spare"], "dry_run": False}
    services.calls.clear()
    run("sync", "--account", "spare", "--account", "main", "--account", "spare", "--dry-run")
    assert services.asked("sync") == {"accounts": ["spare", "main"], "dry_run": True}


def test_services_get_the_settings_of_the_named_file_and_are_closed(
    run: Run, services: FakeServices, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text((tmp_path / "trueup.toml").read_text().replace("main", "other"), encoding="utf-8")

    run("status", "--config", str(other))
    run("status", env={"TRUEUP_CONFIG": str(other)})
    run("status")

    assert [s.account_names[0] for s in services.opened_with if s is not None] == ["other", "other", "main"]
    assert services.closed == 3


def test_sync_tells_each_change(run: Run, services: FakeServices) -> None:
    services.report = report(full_account())

    shown = run("sync").stdout

    for words in (
        "added         ADA/USDT:USDT long  position 4",
        "0 → 0.010 contracts at 60,000.00 USDT",
        "1.0 → 0.5 contracts",
        "10 → 0 contracts · entry 148.87 → exit 150.10 USDT",
        "PnL +12.30 USDT gross · fees 0.02 USDT + 0.0001 BNB · funding -0.5 USDT · net –",
        "take_profit · proven by fills · closed 3 s ago · 20:14:00Z",
        "first missed 40 s ago · 20:13:23Z",
        "hold 3 · mass_close",
        "LUNCUSDT  not in the market list",
        "-2011: unknown order",
        "trueup approve 3",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], {"status": "active", "account": None}),
        (["--status", "closed", "--account", "main"], {"status": "closed", "account": "main"}),
        (["--status", "all"], {"status": "all", "account": None}),
    ],
)
def test_positions_filters(run: Run, services: FakeServices, words: list[str], asked: dict[str, object]) -> None:
    services.book = [position(), closed()]

    result = run("positions", *words)

    assert services.asked("positions") == asked
    assert result.exit_code == 0
    assert ("BTC/USDT:USDT" in result.stdout) == (asked["status"] != "closed")
    assert ("SOL/USDT:USDT" in result.stdout) == (asked["status"] != "active")


def test_an_account_that_left_the_configuration_keeps_its_history(run: Run, services: FakeServices) -> None:
    services.book = [position(account="former")]

    assert "former" in run("positions", "--account", "former").stdout
    mistaken = run("positions", "--account", "formr")
    assert mistaken.exit_code == 2
    assert 'no account "formr"' in mistaken.stderr


def test_events_filters_and_limits(run: Run, services: FakeServices) -> None:
    services.log = [event(event_id=number) for number in range(1, 61)]

    human = run("events")
    assert services.asked("events")["limit"] == 50
    assert len(human.stdout.splitlines()) == 50
    assert "--limit 0 shows all" in human.stderr

    services.calls.clear()
    lines = run("events", "--json").stdout.splitlines()
    assert services.asked("events")["limit"] is None
    assert [json.loads(line)["event_id"] for line in lines] == list(range(1, 61))

    services.calls.clear()
    run("events", "--limit", "0", "--position", "3", "--account", "main", "--type", "phantom_position_closed")
    assert services.asked("events") == {
        "account": "main",
        "position_id": 3,
        "type": "PHANTOM_POSITION_CLOSED",
        "after_id": 0,
        "limit": None,
    }


def test_events_follow_prints_each_new_event_once(
    run: Run, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.log = [event(event_id=1)]
    waits = 0

    async def next_second(_call: object, _seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            raise KeyboardInterrupt
        services.log.append(event(event_id=waits + 1, type=EventType.POSITION_VERIFIED))

    monkeypatch.setattr("trueup.cli.call.Call.sleep", next_second)

    result = run("events", "--json", "--follow")

    assert [json.loads(line)["event_id"] for line in result.stdout.splitlines()] == [1, 2, 3]
    assert result.exit_code == 130
    assert services.closed == 1


def test_status_watch_without_a_terminal_goes_on_printing(
    run: Run, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.accounts = (account_status(),)
    waits = 0

    async def two_seconds(_call: object, _seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("trueup.cli.call.Call.sleep", two_seconds)

    result = run("status", "--watch", "--json")

    assert len([json.loads(line) for line in result.stdout.splitlines()]) == 2
    assert result.exit_code == 130


def test_status_asks_for_holds_only_when_some_wait(run: Run, services: FakeServices) -> None:
    services.accounts = (account_status(),)
    run("status")
    assert [name for name, _ in services.calls] == ["open", "status"]

    services.accounts, services.raised = (account_status(open_holds=1),), [hold()]
    assert run("status").stdout.rstrip().splitlines()[-1].startswith("Next: trueup approve 3")


def test_holds_shows_the_open_ones_and_all_on_demand(run: Run, services: FakeServices) -> None:
    services.raised = [hold(), hold(hold_id=4, state=HoldState.REJECTED, decided_at_ms=hold().raised_at_ms, note="no")]

    assert "hold 4" not in run("holds").stdout
    everything = run("holds", "--all").stdout
    assert "hold 4" in everything
    assert "rejected" in everything
    assert "trueup approve 4" not in everything


@pytest.mark.parametrize("done", [True, False])
def test_approve_tells_what_became_of_it(run: Run, services: FakeServices, done: bool) -> None:
    state = HoldState.DONE if done else HoldState.APPROVED
    services.outcome = HoldOutcome(
        hold_id=3, state=state, done=done, message="Two positions.", report=report(account_report())
    )

    result = run("approve", "3")

    assert services.asked("approve") == {"hold_id": 3}
    assert result.exit_code == (0 if done else 5)
    assert result.stdout.startswith("Two positions.\n")
    assert "book equals venue" in result.stdout


def test_reject_passes_the_note(run: Run, services: FakeServices) -> None:
    services.outcome = HoldOutcome(hold_id=3, state=HoldState.REJECTED, done=True, message="Hold 3 is rejected.")

    result = run("reject", "3", "--note", "maintenance")

    assert services.asked("reject") == {"hold_id": 3, "note": "maintenance"}
    assert result.stdout == "Hold 3 is rejected.\n"


@pytest.mark.parametrize("word", ["pause", "resume"])
def test_pause_and_resume(run: Run, services: FakeServices, word: str) -> None:
    assert run(word, "spare").exit_code == 0
    assert services.asked(word) == {"account": "spare"}


def test_explain_shows_each_step_and_its_data_on_demand(run: Run, services: FakeServices) -> None:
    services.explanations = {3: explanation()}

    shown = run("explain", "3").stdout

    assert services.asked("explain") == {"position_id": 3}
    assert shown.index("MISSING_POSITION_ADDED") < shown.index("POSITION_CLOSED")
    assert "two fills net the lifecycle to zero" in shown


UNOPENED = Check(scope="store", name="open", level="error", detail="refused")


@pytest.mark.parametrize(("found", "code"), [(checks()[:2], 0), (checks(), 3), ((*checks(), UNOPENED), 2)])
def test_doctor(run: Run, services: FakeServices, found: tuple[Check, ...], code: int) -> None:
    services.checks = found

    result = run("doctor")

    assert result.exit_code == code
    for check in found:
        assert check.detail in result.stdout
        assert (check.mend or "") in result.stdout


def test_doctor_says_which_configuration_it_read_and_what_did_not_start(run: Run, services: FakeServices) -> None:
    services.fail["open"] = StoreUnavailable("the database does not answer")

    result = run("doctor")

    assert result.exit_code == 2
    assert "trueup.toml" in result.stdout
    assert "the database does not answer" in result.stdout


def test_doctor_finds_a_broken_configuration(run: Run, config: Path) -> None:
    config.write_text("[sync]\nnonsense = 1\n", encoding="utf-8")

    result = run("doctor", "--json")

    assert result.exit_code == 2
    (check,) = json.loads(result.stdout)["checks"]
    assert check["level"] == "error"
    assert "nonsense" in check["detail"]


def test_a_pin_is_reset_only_on_purpose(run: Run, services: FakeServices) -> None:
    refused = run("accounts", "pin", "main")
    assert refused.exit_code == 2
    assert "--reset" in refused.stderr
    assert not services.calls

    accepted = run("accounts", "pin", "main", "--reset")
    assert accepted.stdout == "main now belongs to venue account 42\n"


def test_database_commands(run: Run, services: FakeServices) -> None:
    assert run("db", "upgrade").stdout == "the store is at version 1\n"
    assert run("db", "upgrade", "--account", "main").exit_code == 0
    assert run("db", "backup", "copy.db").stdout == "wrote copy.db\n"
    asked = [arguments for name, arguments in services.calls if name != "open"]
    assert asked == [
        {"accounts": [], "keep_newest": False},
        {"accounts": ["main"], "keep_newest": False},
        {"path": Path("copy.db")},
    ]


def test_what_runs_on_simulated_venues_needs_no_configuration(run: Run, services: FakeServices, config: Path) -> None:
    config.unlink()

    assert run("demo", "--keep").stdout == "a position is opened\n"
    assert run("venue", "serve", "--port", "0").exit_code == 0
    assert services.opened_with == [None, None]
    assert services.asked("demo") == {"keep": True}
    assert services.asked("venue_serve") == {"options": VenueOptions(port=0)}


def test_run_says_when_it_is_ready(run: Run, services: FakeServices) -> None:
    async def ready(on_ready: object) -> None:
        assert callable(on_ready)
        on_ready("listening on 127.0.0.1:9464")

    services.on["run"] = ready

    result = run("run")

    assert result.exit_code == 0
    assert result.stdout == "listening on 127.0.0.1:9464\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["positions"], "no open position"),
        (["positions", "--status", "closed", "--account", "main"], "no closed position of account main yet"),
        (["events"], "Nothing has been recorded yet."),
        (["events", "--position", "9"], "No such event"),
        (["holds"], "Nothing waits for you."),
    ],
)
def test_an_empty_result_is_a_sentence(run: Run, words: list[str], sentence: str) -> None:
    result = run(*words)

    assert result.exit_code == 0
    assert sentence in result.stdout


def test_close_hands_on_what_was_said(run: Run, services: FakeServices) -> None:
    services.close_outcome = CloseOutcome(account="main", done=True, message="1 closed", closed=(closed(),))
    result = run("close", "main", "SOLUSDT", "--side", "long", "--note", "enough")
    assert services.asked("close") == {"account": "main", "symbol": "SOLUSDT", "side": "long", "note": "enough"}
    assert result.exit_code == 0
    assert "1 closed" in result.stdout


@pytest.mark.parametrize("words", [("close-all", "main"), ("close", "main", "BTCUSDT", "--side", "up")])
def test_a_close_that_was_not_said_whole_is_not_begun(run: Run, services: FakeServices, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
    assert not services.calls
