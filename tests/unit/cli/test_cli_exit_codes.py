"""The exit codes of the contract, for every way in which a command can end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fakes import FakeServices, Run
from cli_samples import account_report, full_account, order, position, report

from trueup.model.errors import (
    AccountMismatch,
    AuthenticationRefused,
    ConfigurationError,
    InvariantBroken,
    NotOwner,
    StoreUnavailable,
    TrueupError,
)
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountReport, ProtectionReport

COMMANDS = [
    ["sync"],
    ["run"],
    ["status"],
    ["positions"],
    ["events"],
    ["explain", "1"],
    ["replay"],
    ["close", "main", "BTC/USDT:USDT"],
    ["close-all", "main", "--yes"],
    ["holds"],
    ["approve", "1"],
    ["reject", "1"],
    ["pause", "main"],
    ["resume", "main"],
    ["accounts", "pin", "main", "--reset"],
    ["db", "upgrade"],
    ["db", "backup", "x.db"],
    ["demo"],
    ["venue", "serve"],
    ["venue", "fault", "hang"],
    ["venue", "faults"],
    ["venue", "clear"],
    ["venue", "do", "fund"],
]
METHODS = {
    "accounts": "pin_reset",
    "close-all": "close_all",
    "upgrade": "db_upgrade",
    "backup": "db_backup",
    "serve": "venue_serve",
}
METHODS["close-all"] = "close_all"
METHODS |= dict.fromkeys(["fault", "faults", "clear", "do"], "venue_control")


def method_of(words: list[str]) -> str:
    return METHODS.get(words[0]) or METHODS.get(words[1] if len(words) > 1 else "") or words[0]


SYNC_CODES = [
    (account_report(verified=(position(),)), 0),
    (account_report(), 0),
    (account_report(closed_phantom=full_account().closed_phantom), 0),
    (account_report(mode=AccountMode.OBSERVE, applied=False, added_missing=(position(),)), 3),
    (account_report(suspected=(position(),)), 3),
    (account_report(held=full_account().held), 3),
    (account_report(quarantined=full_account().quarantined), 3),
    (account_report(protection=ProtectionReport(orphans=(order(),))), 3),
    (account_report(observed=False, error="HTTP 503"), 4),
    (account_report(unfinished_effects=1), 5),
    (account_report(mode=AccountMode.PROTECT, unprotected_overdue=True), 5),
    (account_report(observed=False, failure=True, error="oops"), 1),
    (account_report(observed=False, identity_error=True, error="another account"), 2),
]


@pytest.mark.parametrize(("account", "code"), SYNC_CODES)
def test_sync_ends_with_its_reports_code_and_says_what_to_do(
    run: Run, services: FakeServices, account: AccountReport, code: int
) -> None:
    services.report = report(account)

    human = run("sync")

    assert human.exit_code == code
    assert ("\nNext\n" in human.stdout) == (code != 0)
    assert run("sync", "--json").exit_code == code


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("there is no such thing"), 2),
        (AccountMismatch("main", "uid-1", "uid-2"), 2),
        (StoreUnavailable("the database does not answer"), 1),
        (AuthenticationRefused("the venue refuses this key"), 1),
        (NotOwner("another process owns main"), 1),
        (InvariantBroken("two active rows"), 1),
        (ExceptionGroup("together", [StoreUnavailable("the database does not answer"), NotOwner("lost it")]), 1),
        (ExceptionGroup("together", [StoreUnavailable("the database does not answer"), ConfigurationError("no")]), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_is_its_text_and_its_code(
    run: Run, services: FakeServices, words: list[str], error: Exception, code: int
) -> None:
    services.fail[method_of(words)] = error

    result = run(*words)

    assert result.exit_code == code
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    if isinstance(error, TrueupError):
        assert str(error) in result.stderr
    assert services.closed == 1


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_unexpected_error_is_short_and_long_on_demand(run: Run, services: FakeServices, words: list[str]) -> None:
    services.fail[method_of(words)] = KeyError("surprise")

    short, long = run(*words), run(*words, "--verbose")

    assert short.exit_code == long.exit_code == 1
    assert short.stderr == "error: unexpected KeyError: 'surprise' (--verbose shows where it happened)\n"
    assert "Traceback" in long.stderr


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[0] not in ("demo", "venue")], ids=" ".join)
def test_a_broken_configuration_is_2_and_opens_nothing(
    run: Run, services: FakeServices, config: Path, words: list[str]
) -> None:
    config.write_text(config.read_text() + "nonsense = 1\n", encoding="utf-8")

    result = run(*words)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "nonsense = 1: unknown key" in result.stderr
    assert not services.opened_with


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["sync", "--nonsense"],
        ["sync", "--account", "nobody"],
        ["sync", "--account"],
        ["positions", "--status", "open"],
        ["positions", "--account", "nobody"],
        ["events", "--type", "NONSENSE"],
        ["events", "--account", "nobody"],
        ["events", "--limit", "-1"],
        ["explain"],
        ["explain", "0"],
        ["explain", "seven"],
        ["explain", "7"],
        ["approve", "x"],
        ["pause"],
        ["pause", "nobody"],
        ["resume", "nobody"],
        ["accounts"],
        ["accounts", "pin", "nobody", "--reset"],
        ["accounts", "pin", "main"],
        ["db"],
        ["db", "upgrade", "--account", "nobody"],
        ["db", "backup"],
        ["venue", "serve", "--port", "70000"],
        ["venue", "serve", "--positions", "1"],
        ["venue", "fault"],
        ["venue", "clear", "x"],
        ["venue", "do", "price", "symbol"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(run: Run, words: list[str]) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_interrupt_is_130_and_closes_what_is_open(run: Run, services: FakeServices, words: list[str]) -> None:
    services.fail[method_of(words)] = KeyboardInterrupt()

    result = run(*words)

    assert result.exit_code == (0 if words in (["run"], ["venue", "serve"]) else 130)
    assert services.closed == 1


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (StoreUnavailable("the database does not answer"), True),
        (KeyError("surprise"), True),
        (AccountMismatch("main", "uid-1", "uid-2"), True),
        (ConfigurationError("BINANCE_KEY is not set"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.parametrize("where", ["open", "sync"])
def test_sync_prints_its_json_on_every_exit_but_a_wrong_configuration(
    run: Run, services: FakeServices, where: str, error: Exception, printed: bool
) -> None:
    services.fail[where] = error

    result = run("sync", "--json", "--account", "main")

    assert bool(result.stdout) == printed
    if printed:
        account = json.loads(result.stdout)["accounts"]["main"]
        assert account["observed"] is False
        assert account["verified"] == []
        assert account["error"] in result.stderr.replace("error: ", "", 1)
