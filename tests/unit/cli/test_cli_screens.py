"""Screens: nothing important is lost at 80 columns, nothing is wider than the terminal, words carry the meaning."""

from __future__ import annotations

from decimal import Decimal

import pytest
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

from trueup.cli.screens.doctor import doctor_screen
from trueup.cli.screens.events import event_lines
from trueup.cli.screens.explain import explain_screen
from trueup.cli.screens.holds import HOLD_MEANING, holds_screen
from trueup.cli.screens.positions import positions_screen
from trueup.cli.screens.status import next_command, status_screen
from trueup.cli.screens.sync import next_steps, sync_screen
from trueup.cli.table import Column, numbers, table
from trueup.cli.text import Line, Style, age, duration, flow, line, moment, number, paragraph, signed, width_of
from trueup.model.holds import HoldKind, HoldState
from trueup.model.orders import Side
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountStatus

LONG = "a sentence with many words that does not fit on one line of a terminal, " * 3


def texts(lines: list[Line]) -> str:
    return "\n".join(row.plain for row in lines)


def screens(width: int | None) -> dict[str, list[Line]]:
    book = [
        position(),
        position(position_id=22, symbol="BTC/USDT:USDT-261225", side=Side.SHORT, suspected_since_ms=NOW_MS - 40_000),
        closed(),
        closed(
            account="spare", symbol="BTC/USD:BTC", close={"settle_asset": "BTC", "realized_pnl": Decimal("-0.0012")}
        ),
    ]
    accounts = (account_status(open_holds=1, drift=(drift(LONG),), orphans=2), account_status(account="b", error=LONG))
    return {
        "sync": sync_screen(
            report(full_account(), account_report(account="b", observed=False, error=LONG)),
            dry_run=False,
            now_ms=NOW_MS,
            width=width,
        ),
        "positions": positions_screen(book, status="all", account=None, now_ms=NOW_MS, width=width),
        "status": status_screen(accounts, [hold()], now_ms=NOW_MS, width=width),
        "holds": holds_screen([hold(summary=LONG)], now_ms=NOW_MS, width=width),
        "event": event_lines(event(data={"problem": LONG}), now_ms=NOW_MS, width=width),
        "explain": explain_screen(explanation(), verbose=True, now_ms=NOW_MS, width=width),
        "doctor": doctor_screen(checks(), width=width),
    }


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for name, lines in screens(width).items():
        for row in lines:
            assert width_of(row.plain) <= width, f"{name}: {row.plain}"


def test_without_a_terminal_nothing_is_left_out_or_wrapped() -> None:
    plain = {name: texts(lines) for name, lines in screens(None).items()}

    assert LONG.strip() in plain["sync"]
    assert LONG.strip() in plain["status"]
    assert "12 s ago · 20:13:51Z" in plain["positions"]
    assert "host-a:4242" in plain["status"]
    for text in plain.values():
        assert not any(row != row.rstrip() for row in text.splitlines())


def test_the_words_say_what_the_colours_mean() -> None:
    status = texts(status_screen((account_status(error="HTTP 503"),), [], now_ms=NOW_MS, width=80))

    assert "not observed" in status
    assert "HTTP 503" in status


@given(width=st.integers(40, 200), count=st.integers(1, 4))
def test_a_table_fits_or_keeps_only_what_it_must(width: int, count: int) -> None:
    must = Column("ID", [str(index) for index in range(count)])
    columns = [
        must,
        *(Column(f"H{drop}", ["x" * 30] * count, drop=drop, short=["y" * 9] * count) for drop in (1, 2, 3)),
    ]

    lines = table(columns, width)

    assert all(width_of(row.plain) <= width for row in lines)
    assert len(lines) == 1 + count
    assert "ID" in lines[0].plain


def test_columns_go_in_their_order_and_short_forms_come_first() -> None:
    columns = [Column("A", ["a" * 20]), Column("B", ["b" * 20], drop=1), Column("C", ["c" * 20], drop=2, short=["cc"])]

    assert "c" * 20 in table(columns, 66)[1].plain
    assert table(columns, 60)[1].plain.split() == ["a" * 20, "b" * 20, "cc"]
    assert table(columns, 45)[1].plain.split() == ["a" * 20, "b" * 20]
    assert table(columns, 30)[1].plain.split() == ["a" * 20]


def test_decimal_points_stand_under_each_other() -> None:
    cells = numbers([Decimal("1250.5"), Decimal("0.010"), Decimal("7"), None])

    assert cells == ["1,250.5  ", "0.010", "7    ", "–"]
    rows = [row.plain for row in table([Column("N", cells[:3], right=True), Column("", ["|"] * 3)], None)[1:]]
    assert [row.index("|") for row in rows] == [rows[0].index("|")] * 3
    assert rows[0].index(".") == rows[1].index(".")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (Decimal("0.010"), "0.010"),
        (Decimal("1234567.80"), "1,234,567.80"),
        (Decimal("1E+3"), "1,000"),
        (Decimal("-0.00"), "0.00"),
        (Decimal("0.123456789"), "0.12345679"),
        (Decimal("60000.00000000"), "60,000.00"),
        (Decimal("0.00120000"), "0.0012"),
        (Decimal("0.0000000001"), "0.0000000001"),
    ],
)
def test_numbers(value: Decimal | None, shown: str) -> None:
    assert number(value) == shown


def test_a_gain_a_loss_and_the_unknown() -> None:
    assert signed(Decimal("1.5"), "USDT") == ("+1.5 USDT", Style.GOOD)
    assert signed(Decimal("-1.5"), "USDT") == ("-1.5 USDT", Style.BAD)
    assert signed(Decimal(0), "USDT") == ("0 USDT", Style.PLAIN)
    assert signed(None, "USDT") == ("–", Style.DIM)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (0.5, "0.5 s"), (59, "59 s"), (90, "2 min"), (3600, "1 h"), (90_000, "25 h"), (200_000, "2 d")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_moments() -> None:
    assert moment(NOW_MS - 12_000, NOW_MS) == "12 s ago · 20:13:51Z"
    assert moment(NOW_MS - 90_000_000, NOW_MS) == "25 h ago · 2026-11-21 19:14:03Z"
    assert age(NOW_MS + 5_000, NOW_MS) == "in 5 s"
    assert age(NOW_MS, NOW_MS) == "now"


def test_wide_characters_take_two_columns() -> None:
    assert width_of("币安/USDT") == 9
    columns = [Column("Symbol", ["币安/USDT", "BTC/USDT"]), Column("Side", ["long", "long"])]
    assert len({width_of(row.plain) for row in table(columns, None)[1:]}) == 1


def test_a_paragraph_hangs_under_its_lead() -> None:
    lines = paragraph("one two three four five six seven", 30, first=line("lead: "), indent=2)

    assert lines[0].plain.startswith("lead: one")
    assert all(row.plain.startswith("  ") for row in lines[1:])
    assert " ".join(" ".join(row.plain.split()) for row in lines) == "lead: one two three four five six seven"


def test_parts_are_broken_between_each_other_only() -> None:
    parts = [line("aaaa bbbb"), line("cccc dddd"), line("eeee")]

    assert [row.plain for row in flow(parts, 24, indent=2)] == ["  aaaa bbbb · cccc dddd", "  eeee"]
    assert [row.plain for row in flow(parts, None)] == ["aaaa bbbb · cccc dddd · eeee"]


@pytest.mark.parametrize("kind", HoldKind)
def test_every_kind_of_hold_is_explained_with_both_commands(kind: HoldKind) -> None:
    shown = texts(holds_screen([hold(kind=kind)], now_ms=NOW_MS, width=None))

    assert HOLD_MEANING[kind] in shown
    assert "trueup approve 3" in shown
    assert "trueup reject 3" in shown


NEXT = [
    ((account_status(),), "Nothing needs doing."),
    ((account_status(owner=None),), "trueup run"),
    ((account_status(error="HTTP 503", open_holds=1),), "trueup doctor"),
    ((account_status(open_holds=1),), "trueup approve 3"),
    ((account_status(last_good_at_ms=None),), "trueup sync"),
    ((account_status(paused=True, drift=(drift("x"),)),), "trueup resume main"),
    ((account_status(drift=(drift("x"),), mode=AccountMode.OBSERVE),), "trueup sync"),
    ((account_status(pending_effects=2),), "trueup sync"),
    ((account_status(owner=None, last_good_at_ms=NOW_MS - 3_600_000),), "trueup run"),
    ((account_status(last_good_at_ms=NOW_MS - 3_600_000),), "trueup doctor"),
]


@pytest.mark.parametrize(("accounts", "command"), NEXT)
def test_status_ends_with_the_next_command(accounts: tuple[AccountStatus, ...], command: str) -> None:
    waiting = [hold()] if any(account.open_holds for account in accounts) else []
    last = texts(status_screen(accounts, waiting, now_ms=NOW_MS, width=None)).splitlines()[-1]

    assert last.startswith(command if command.startswith("Nothing") else f"Next: {command}")


def test_what_nobody_has_seen_lately_is_told_in_the_past() -> None:
    old = account_status(owner=None, last_good_at_ms=NOW_MS - 3_600_000)
    shown = status_screen((old,), [], now_ms=NOW_MS, width=None)

    assert shown[0] == line(("The book equalled the venue 1 h ago; nobody has looked since.", Style.WARN))
    assert "out of date" in texts(shown)
    assert "what is told here was true then" in texts(shown)
    assert "agrees" not in texts(shown)
    several = texts(status_screen((old, account_status(account="b")), [], now_ms=NOW_MS, width=None))
    assert several.startswith("The book is known to equal the venue for 1 of 2 accounts.")


@pytest.mark.parametrize(("age_ms", "interval_s"), [(60_000, 5.0), (91_000, 30.0), (301_000, 100.0)])
def test_it_is_out_of_date_after_three_intervals_and_a_second(age_ms: int, interval_s: float) -> None:
    for more_ms, state in ((0, "agrees"), (1, "out of date")):
        account = account_status(last_good_at_ms=NOW_MS - age_ms - more_ms, effective_interval_s=interval_s)
        assert state in texts(status_screen((account,), [], now_ms=NOW_MS, width=None))


def test_the_doctor_fits_a_narrow_terminal() -> None:
    for row in doctor_screen(checks(), width=40):
        assert width_of(row.plain) <= 40, row.plain


def test_times_in_an_events_data_are_told_as_times() -> None:
    shown = texts(event_lines(event(data={"closed_at_ms": 1_795_448_471_202}), now_ms=NOW_MS, width=None))

    assert "closed_at=2026-11-23T15:41:11.202Z" in shown
    assert "1795448471202" not in shown


def test_several_holds_are_listed_first() -> None:
    waiting = [hold(), hold(hold_id=4), hold(hold_id=5, state=HoldState.APPROVED)]

    assert next_command((account_status(open_holds=2),), waiting, NOW_MS)[0] == "trueup holds"


STEPS = [
    (account_report(), False, ""),
    (account_report(mode=AccountMode.OBSERVE, applied=False, added_missing=(position(),)), False, 'mode = "sync"'),
    (account_report(applied=False, added_missing=(position(),)), True, "without --dry-run"),
    (account_report(applied=False, added_missing=(position(),)), False, "trueup resume main"),
    (account_report(observed=False, error="x"), False, "trueup doctor"),
    (account_report(identity_error=True), False, "trueup accounts pin main --reset"),
    (account_report(held=full_account().held[:1]), False, "trueup approve 3"),
    (account_report(unprotected_overdue=True), False, "no live stop"),
]


@pytest.mark.parametrize(("account", "dry_run", "step"), STEPS)
def test_each_trouble_has_a_next_step(account: object, dry_run: bool, step: str) -> None:
    steps = next_steps(report(account), dry_run=dry_run)  # type: ignore[arg-type]

    assert (steps == []) if step == "" else any(step in each for each in steps)


def test_what_would_be_done_is_not_told_as_done() -> None:
    observing = account_report(mode=AccountMode.OBSERVE, applied=False, closed_phantom=(closed(),))

    shown = texts(sync_screen(report(observing), dry_run=False, now_ms=NOW_MS, width=None))

    assert "1 to be closed" in shown
    assert "observe mode: nothing was changed" in shown
