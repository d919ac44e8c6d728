"""A pass, for people: one line an account, then every change with old and new, money and proof, then what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trueup.cli.screens.positions import position_name, quote_of, result_parts
from trueup.cli.text import BLANK, UNKNOWN, Line, Style, flow, line, moment, money, number, paragraph, plural
from trueup.model.positions import AccountMode, Position
from trueup.model.reports import AccountReport, HeldReport, OrderReport, QuantityChange, SyncReport

__all__ = ["next_steps", "sync_screen"]

_LABEL = 12
_CHANGE_INDENT = 4 + _LABEL


def sync_screen(report: SyncReport, *, dry_run: bool, now_ms: int, width: int | None) -> list[Line]:
    """The whole pass. Closed positions that were verified and unchanged are only counted."""
    if not report.accounts:
        return paragraph("No account was looked at.", width)
    room = max(len(account.account) for account in report.accounts)
    lines: list[Line] = []
    for account in report.accounts:
        lines += _summary(account, room, width)
    for account in report.accounts:
        changes = _changes(account, now_ms, width)
        if changes:
            title = "" if account.applied else f" · {_would_be(account, dry_run)}"
            lines += [BLANK, line((account.account, Style.STRONG), (title, Style.DIM)), *changes]
    steps = next_steps(report, dry_run=dry_run)
    if steps:
        lines += [BLANK, line(("Next", Style.STRONG))]
        for step in steps:
            lines += paragraph(step, width, first=line("  "), indent=4)
    return lines


def _would_be(account: AccountReport, dry_run: bool) -> str:
    if dry_run:
        return "dry run: nothing was changed, this would be done"
    if account.mode is AccountMode.OBSERVE:
        return "observe mode: nothing was changed, this would be done"
    return "paused: nothing was changed, this would be done"


def _summary(account: AccountReport, room: int, width: int | None) -> list[Line]:
    first = line(
        (account.account.ljust(room), Style.STRONG), (f"  {account.venue} · {account.mode.value}  ", Style.DIM)
    )
    text, style = _verdict(account)
    return paragraph(text, width, first=first, indent=room + 2, style=style)


def _verdict(account: AccountReport) -> tuple[str, Style]:
    if account.identity_error:
        return account.error or "the key answers for another venue account", Style.BAD
    if account.failure:
        return f"failed: {account.error or 'unexpected failure'}", Style.BAD
    if not account.observed:
        return f"not observed, nothing was changed: {account.error or 'no reason was given'}", Style.BAD
    counts = _counts(account)
    known = len(account.verified)
    text = f"{plural(known, 'position')} verified" if known or not counts else ""
    if not counts and not account.has_drift:
        return f"book equals venue, {text if known else 'both are flat'}", Style.GOOD
    style = Style.BAD if account.exit_code == 5 else Style.WARN if account.exit_code else Style.GOOD
    return ", ".join([*([text] if known else []), *counts]), style


def _counts(account: AccountReport) -> list[str]:
    protection = account.protection
    would = "" if account.applied else "to be "
    named = [
        (len(account.added_missing), f"{would}added"),
        (len(account.updated_quantity), f"{would}changed"),
        (len(account.closed_phantom), f"{would}closed"),
        (len(account.suspected), "suspected"),
        (sum(len(held.positions) for held in account.held), "held for you"),
        (len(account.quarantined), "unreadable"),
        (len(account.rejected), "not adopted yet"),
        (len(protection.orphans), "orphan stop" if len(protection.orphans) == 1 else "orphan stops"),
        (len(protection.cancelled), f"stop{'' if len(protection.cancelled) == 1 else 's'} {would}cancelled"),
        (len(protection.placed), f"stop{'' if len(protection.placed) == 1 else 's'} {would}placed"),
        (len(protection.failed), "failed on the venue"),
        (len(protection.unprotected), "unprotected"),
    ]
    counts = [f"{count} {word}" for count, word in named if count]
    unfinished = account.unfinished_effects
    return [*counts, f"{plural(unfinished, 'effect')} not carried out"] if unfinished else counts


def _change(label: str, style: Style, first: Line, *details: Line) -> list[Line]:
    head = line("  ", (label.ljust(_LABEL), style), "  ") + first
    return [head, *(line(" " * _CHANGE_INDENT) + detail for detail in details)]


def _changes(account: AccountReport, now_ms: int, width: int | None) -> list[Line]:
    lines: list[Line] = []
    for position in account.added_missing:
        lines += _added(position)
    for change in account.updated_quantity:
        lines += _updated(change)
    for position in account.closed_phantom:
        lines += _closed(position, now_ms, width)
    for position in account.suspected:
        since = position.suspected_since_ms
        missed = [line((f"first missed {moment(since, now_ms)}", Style.DIM))] if since is not None else []
        told = [line(("not on the venue, not proven closed", Style.DIM)), *missed]
        lines += _change("suspected", Style.WARN, _name(position))
        lines += flow(told, width, indent=_CHANGE_INDENT)
    for held in account.held:
        lines += _held(held, width)
    for label, rows in (("unreadable", account.quarantined), ("not adopted", account.rejected)):
        for row in rows:
            first = line("  ", (label.ljust(_LABEL), Style.WARN), "  ", (row.symbol, Style.STRONG), "  ")
            lines += paragraph(row.problem, width, first=first, indent=_CHANGE_INDENT)
    return lines + _protection(account, width)


def _name(position: Position) -> Line:
    number_text = f"  position {position.position_id}" if position.position_id else ""
    return line((position_name(position), Style.STRONG), (number_text, Style.DIM))


def _added(position: Position) -> list[Line]:
    at = f" at {money(position.entry_price, quote_of(position.symbol))}" if position.entry_price is not None else ""
    unverified = (
        [line(("unverified: the order that opened it is not known", Style.WARN))] if position.unverified else []
    )
    quantity = line(f"0 → {number(position.quantity)} contracts{at}")
    return _change("added", Style.GOOD, _name(position), quantity, *unverified)


def _updated(change: QuantityChange) -> list[Line]:
    position = change.position
    old_new = line(f"{number(change.previous_quantity)} → {number(position.quantity)} contracts")
    return _change("changed", Style.GOOD, _name(position), old_new)


def _closed(position: Position, now_ms: int, width: int | None) -> list[Line]:
    close = position.close
    if close is None:
        return _change("closed", Style.GOOD, _name(position))
    price = money(close.exit_price, quote_of(position.symbol))
    moved = [
        line(f"{number(close.quantity)} → 0 contracts"),
        line(f"entry {number(position.entry_price)} → exit {price}"),
    ]
    grade = "absence: confirmed, not proven" if close.estimated else f"proven by {close.evidence.value}"
    whole = [] if close.complete or close.estimated else [line(("history incomplete", Style.WARN))]
    why = [
        line(close.exit_reason.value),
        line((grade, Style.WARN if close.estimated else Style.DIM)),
        *whole,
        line((f"closed {moment(close.closed_at_ms, now_ms)}", Style.DIM)),
    ]
    lines = _change("closed", Style.WARN if close.estimated else Style.GOOD, _name(position))
    for parts in (moved, result_parts(close), why):
        lines += flow(parts, width, indent=_CHANGE_INDENT)
    return lines


def _held(held: HeldReport, width: int | None) -> list[Line]:
    name = f"hold {held.hold_id} · {held.kind.value}" if held.hold_id else held.kind.value
    lines = _change("held for you", Style.WARN, line((name, Style.STRONG)))
    indent = line(" " * _CHANGE_INDENT)
    if held.summary:
        lines += paragraph(held.summary, width, first=indent, indent=_CHANGE_INDENT)
    names = ", ".join(position_name(position) for position in held.positions)
    return lines + (paragraph(names, width, first=indent, indent=_CHANGE_INDENT, style=Style.DIM) if names else [])


def _protection(account: AccountReport, width: int | None) -> list[Line]:
    protection = account.protection
    lines: list[Line] = []
    groups: tuple[tuple[str, Style, Sequence[OrderReport]], ...] = (
        ("placed", Style.GOOD, protection.placed),
        ("cancelled", Style.GOOD, protection.cancelled),
        ("failed", Style.BAD, protection.failed),
        ("orphan stop", Style.WARN, protection.orphans),
    )
    for label, style, orders in groups:
        for order in orders:
            problem = f" · {order.problem}" if order.problem else ""
            first = line("  ", (label.ljust(_LABEL), style), "  ", (order.symbol, Style.STRONG), "  ")
            lines += paragraph(f"{_order(order)}{problem}", width, first=first, indent=_CHANGE_INDENT)
    for position in protection.unprotected:
        overdue = line(("longer than grace_s allows" if account.unprotected_overdue else "no live stop", Style.DIM))
        lines += _change("unprotected", Style.BAD, _name(position), overdue)
    return lines


def _order(order: OrderReport) -> str:
    quantity = "whole position" if order.quantity is None else f"{number(order.quantity)} contracts"
    trigger = f" at {number(order.trigger_price)}" if order.trigger_price is not None else ""
    return f"{order.kind.value} {order.side.value} {quantity}{trigger} · order {order.order_id or UNKNOWN}"


def next_steps(report: SyncReport, *, dry_run: bool) -> list[str]:
    """What the person can do about each thing that is not in order; empty where all is."""
    steps: list[str] = []
    for account in report.accounts:
        steps += _steps_of(account, dry_run)
    return list(dict.fromkeys(steps))


def _steps_of(account: AccountReport, dry_run: bool) -> Iterable[str]:
    name = account.account
    if account.identity_error:
        yield f"put the right key back, or accept the new venue account with `trueup accounts pin {name} --reset`"
        return
    if account.failure:
        yield "`trueup doctor` checks store, key and clock; `--verbose` shows where it failed"
        return
    if account.unfinished_effects or account.protection.failed:
        yield (
            "run `trueup sync` again, or leave `trueup run` up: what was not carried out is tried again until the "
            "venue shows it done; `trueup status` counts it"
        )
    if account.unprotected_overdue:
        yield f"look at the unprotected positions of {name} on the venue now: they have no live stop"
    if not account.observed:
        yield "`trueup doctor` checks key, clock and venue; then run `trueup sync` again"
        return
    for held in account.held:
        yield (
            f"`trueup approve {held.hold_id}` or `trueup reject {held.hold_id}`"
            if held.hold_id
            else ("`trueup sync` without --dry-run raises the hold for you to decide")
        )
    if account.suspected:
        yield "run `trueup sync` again: what is suspected closes when it is confirmed or proven, and clears when seen"
    if account.quarantined:
        yield f"correct the unreadable rows of {name}: left alone until then; one of the venue's blocks closes on absence"
    if account.rejected:
        yield "run `trueup sync` again: a second look confirms what is not adopted yet"
    yield from _steps_of_mode(account, dry_run)


def _steps_of_mode(account: AccountReport, dry_run: bool) -> Iterable[str]:
    pending = account.closed_phantom or account.added_missing or account.updated_quantity
    if pending and not account.applied:
        if dry_run and account.mode is not AccountMode.OBSERVE:
            yield "`trueup sync` without --dry-run does this"
        elif account.mode is AccountMode.OBSERVE:
            yield f'set mode = "sync" for account {account.account} to let trueup repair the book'
        else:
            yield f"`trueup resume {account.account}` lets trueup do this"
    if account.protection.orphans and account.mode is not AccountMode.PROTECT:
        yield f'cancel the orphan stops on the venue, or set mode = "protect" for account {account.account}'
