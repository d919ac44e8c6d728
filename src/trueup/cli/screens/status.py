"""What is true now, account by account, what is not in order, and the command to run next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trueup.cli.screens.positions import amounts_text
from trueup.cli.table import Column, table
from trueup.cli.text import (
    BLANK,
    UNKNOWN,
    Line,
    Span,
    Style,
    age,
    clock_text,
    duration,
    line,
    moment,
    paragraph,
    plural,
)
from trueup.model.events import Severity
from trueup.model.holds import Hold, HoldState
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountStatus

__all__ = ["next_command", "status_screen"]

_SKEW_WORTH_TELLING_MS = 500
_ALLOWED_INTERVALS = 3
_ALWAYS_ALLOWED_MS = 60_000
_OUT_OF_DATE = "out of date"


def status_screen(
    accounts: Sequence[AccountStatus], holds: Sequence[Hold], *, now_ms: int, width: int | None
) -> list[Line]:
    """The first screen: verdict, table, findings, next command."""
    if not accounts:
        return paragraph("No account is configured: add an [[accounts]] section to trueup.toml.", width)
    verdict, style = _verdict(accounts, now_ms)
    lines = [*paragraph(verdict, width, style=style), BLANK, *_table(accounts, now_ms, width)]
    room = max(len(account.account) for account in accounts)
    findings = [finding for account in accounts for finding in _findings(account, room, now_ms, width)]
    if findings:
        lines += [BLANK, *findings]
    command, why = next_command(accounts, holds, now_ms)
    lines.append(BLANK)
    if command is None:
        return [*lines, line((why, Style.DIM))]
    return lines + paragraph(why, width, first=line(("Next: ", Style.STRONG), command, "  "), indent=6, style=Style.DIM)


def _state(account: AccountStatus, now_ms: int) -> Span:
    if account.error is not None:
        return ("not observed", Style.BAD)
    if account.unprotected:
        return ("unprotected", Style.BAD)
    if account.last_good_at_ms is None:
        return ("never looked", Style.WARN)
    if account.open_holds:
        return ("waits for you", Style.WARN)
    if account.paused:
        return ("paused", Style.WARN)
    if _differs(account):
        return ("drift", Style.WARN)
    return (_OUT_OF_DATE, Style.WARN) if _out_of_date(account, now_ms) else ("agrees", Style.GOOD)


def _out_of_date(account: AccountStatus, now_ms: int) -> bool:
    """Nobody has looked for longer than a few looks take: what was true then need not be true now."""
    at_ms = account.last_good_at_ms
    allowed_ms = _ALLOWED_INTERVALS * account.effective_interval_s * 1000 + 1000
    return at_ms is not None and now_ms - at_ms > max(allowed_ms, _ALWAYS_ALLOWED_MS)


def _differs(account: AccountStatus) -> bool:
    return bool(account.drift or account.suspected or account.quarantined or account.orphans or account.pending_effects)


def _verdict(accounts: Sequence[AccountStatus], now_ms: int) -> Span:
    states = [_state(account, now_ms)[0] for account in accounts]
    true = states.count("agrees")
    if true == len(accounts):
        where = "" if true == 1 else " for both accounts" if true == 2 else f" for all {true} accounts"
        return (f"The book equals the venue{where}.", Style.GOOD)
    if len(accounts) > 1:
        return (f"The book is known to equal the venue for {true} of {len(accounts)} accounts.", Style.WARN)
    at_ms = accounts[0].last_good_at_ms
    if states == [_OUT_OF_DATE] and at_ms is not None:
        return (f"The book equalled the venue {age(at_ms, now_ms)}; nobody has looked since.", Style.WARN)
    return (f"The book is not known to equal the venue: {states[0]}.", Style.WARN)


def _table(accounts: Sequence[AccountStatus], now_ms: int, width: int | None) -> list[Line]:
    def look(account: AccountStatus, *, short: bool) -> str:
        at_ms = account.last_good_at_ms
        if at_ms is None:
            return "never"
        return age(at_ms, now_ms) if short else moment(at_ms, now_ms)

    columns = [
        Column("Account", [(account.account, Style.STRONG) for account in accounts]),
        Column("Venue", [account.venue for account in accounts], drop=5),
        Column("Mode", [account.mode.value for account in accounts], drop=4),
        Column("State", [_state(account, now_ms) for account in accounts]),
        Column(
            "Last good look",
            [look(account, short=False) for account in accounts],
            short=[look(account, short=True) for account in accounts],
            drop=1,
        ),
        Column("Every", [_interval(account) for account in accounts], drop=6),
        Column("Open", [str(account.positions) for account in accounts], right=True, drop=2),
        Column("Exposure", [amounts_text(account.exposure) for account in accounts], right=True, drop=3),
        Column("Run by", [_owner(account) for account in accounts], drop=7),
    ]
    return table(columns, width)


def _interval(account: AccountStatus) -> str:
    return duration(account.effective_interval_s) if account.owner is not None else UNKNOWN


def _owner(account: AccountStatus) -> Span:
    if account.owner is None:
        return ("nobody", Style.DIM)
    streams = "" if account.streams == "none" else f", streams {account.streams}"
    return (f"{account.owner}{streams}", Style.PLAIN)


def _findings(account: AccountStatus, room: int, now_ms: int, width: int | None) -> list[Line]:
    lines: list[Line] = []
    for text, style in _finding_texts(account, now_ms):
        first = line("  ", (account.account.ljust(room), style), "  ")
        lines += paragraph(text, width, first=first, indent=room + 4)
    return lines


def _finding_texts(account: AccountStatus, now_ms: int) -> Iterable[Span]:
    if account.error is not None:
        at = account.last_look_at_ms
        when = f" (looked {age(at, now_ms)}, {clock_text(at, now_ms)})" if at is not None else ""
        yield (f"not observed{when}: {account.error}", Style.BAD)
    elif account.last_good_at_ms is not None and _out_of_date(account, now_ms):
        owner = f", although {account.owner} runs it" if account.owner is not None else ""
        yield (
            f"last seen {moment(account.last_good_at_ms, now_ms)}{owner}: what is told here was true then",
            Style.WARN,
        )
    if account.unprotected:
        yield (f"{plural(account.unprotected, 'open position')} without a live stop", Style.BAD)
    if account.open_holds:
        yield (f"{plural(account.open_holds, 'decision')} {_wait(account.open_holds)} for you", Style.WARN)
    for drift in account.drift:
        style = Style.BAD if drift.severity.rank >= Severity.ERROR.rank else Style.WARN
        yield (f"{drift.text} (since {moment(drift.since_ms, now_ms)})", style)
    if account.suspected:
        yield (f"{account.suspected} suspected: gone from the venue, not proven closed", Style.WARN)
    if account.quarantined:
        yield (f"{plural(account.quarantined, 'unreadable row')}, left alone until corrected", Style.WARN)
    if account.orphans:
        yield (f"{plural(account.orphans, 'orphan stop')} on the venue", Style.WARN)
    if account.pending_effects:
        yield (f"{plural(account.pending_effects, 'effect')} not carried out yet", Style.WARN)
    for name, seconds in account.protection.unprotected_now:
        yield (f"{name} has been without a live stop for {duration(seconds)}", Style.BAD)
    if account.failed_cleanups:
        total = account.cleanup_failures_total
        yield (f"{plural(account.failed_cleanups, 'cancel')} failed so far, {total} failures in all", Style.BAD)
    if account.paused:
        yield ("paused: it is looked at, and nothing is written", Style.WARN)
    if account.effective_interval_s > account.audit_interval_s and account.owner is not None:
        wanted, real = duration(account.audit_interval_s), duration(account.effective_interval_s)
        why = account.interval_why or "the venue's request limits allow no more"
        yield (f"looked at every {real} instead of {wanted}: {why}", Style.WARN)
    if account.clock_skew_ms is not None and abs(account.clock_skew_ms) >= _SKEW_WORTH_TELLING_MS:
        yield (f"this machine's clock is {abs(account.clock_skew_ms)} ms {_ahead(account.clock_skew_ms)}", Style.WARN)


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _ahead(skew_ms: int) -> str:
    """`skew_ms` is venue time less ours."""
    return "behind the venue's (it is corrected for)" if skew_ms > 0 else "ahead of the venue's (it is corrected for)"


def next_command(accounts: Sequence[AccountStatus], holds: Sequence[Hold], now_ms: int) -> tuple[str | None, str]:
    """The one command that helps most now and why; None: nothing needs doing."""
    waiting = [hold for hold in holds if hold.state is HoldState.OPEN]
    if any(account.error is not None for account in accounts):
        return "trueup doctor", "says what keeps the venue from being observed"
    if len(waiting) == 1:
        return f"trueup approve {waiting[0].hold_id}", f"or trueup reject {waiting[0].hold_id}; trueup holds shows why"
    if waiting or any(account.open_holds for account in accounts):
        return "trueup holds", "shows the decisions that wait for you"
    if any(account.last_good_at_ms is None for account in accounts):
        return "trueup sync", "looks at the venue for the first time"
    if any(account.unprotected or account.quarantined for account in accounts):
        return "trueup sync", "lists the positions and rows in question"
    paused = next((account for account in accounts if account.paused), None)
    if paused is not None:
        return f"trueup resume {paused.account}", "lets trueup write again"
    if any(_differs(account) for account in accounts):
        if any(_differs(account) and account.mode is AccountMode.OBSERVE for account in accounts):
            return "trueup sync", 'lists the differences; mode = "sync" lets trueup repair them'
        return "trueup sync", "repairs what can be proven, and carries out what is left"
    stale = any(_out_of_date(account, now_ms) for account in accounts)
    if not any(account.owner is not None for account in accounts):
        return "trueup run", "looks again, and keeps the book true" if stale else "keeps it so"
    if stale:
        return "trueup doctor", "says whether store and venue answer"
    return None, "Nothing needs doing."
