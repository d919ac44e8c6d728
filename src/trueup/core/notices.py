"""What is told to people: which events, in which words, how often.

1. A notice is made from an event in the transaction that writes the event: what is decided is told, what is not is not.
2. One finding has one name (`Notice.dedup`). It is told again only when its repetition is due or it changed (another name).
3. An all-clear is told only to those who were told of the trouble.
4. Events below the wanted severity, and types that no rule names, are not told. The heartbeat always is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from trueup.model.effects import EffectKind, NewEffect, Notice
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.times import DAY_MS, time_text
from trueup.model.values import to_json

__all__ = ["LONGEST_REPEAT_MS", "heartbeat", "notice_effects", "notices_of", "told_name", "untold"]

_HOUR_MS = 3_600_000
LONGEST_REPEAT_MS = DAY_MS
"""Nothing that was told longer ago than this keeps a notice from being told."""

_HEARTBEAT = "heartbeat"
_LONGEST_SUBJECT = 80

_Data = Mapping[str, object]


class _Rule(NamedTuple):
    """How one type of event is told.

    Attributes:
        title: Filled in from the event: `account`, `symbol` and its data.
        body: The same.
        subject: What tells one finding of the type from another.
        repeat_ms: A finding that stands, or comes again, is told again after so long.
        clears: The trouble that this is the all-clear of; it is as loud as that.
    """

    title: str
    body: str
    subject: Callable[[NewEvent], object]
    repeat_ms: int = _HOUR_MS
    clears: EventType | None = None


def _key_names(event: NewEvent) -> object:
    keys = event.data.get("keys")
    return [event.data.get("kind"), sorted(map(str, keys)) if isinstance(keys, list) else keys]


def _data(*names: str) -> Callable[[NewEvent], object]:
    return lambda event: [event.data.get(name) for name in names]


def _position(event: NewEvent) -> object:
    return [event.symbol, event.data.get("side"), event.position_id]


_RULES: Mapping[EventType, _Rule] = {
    EventType.HOLD_RAISED: _Rule(
        "a decision waits for you ({kind})",
        "{summary}\nNothing is changed until you decide. See it with: trueup holds",
        _key_names,
        DAY_MS,
    ),
    EventType.IDENTITY_MISMATCH: _Rule(
        "the key answers for another venue account",
        "The book belongs to venue account {pinned}, the key answers for {found}. Nothing is changed meanwhile.\n"
        "Put the right key back, or accept the new account with: trueup accounts pin {account} --reset",
        _data("pinned", "found"),
    ),
    EventType.POSITION_UNPROTECTED: _Rule(
        "{symbol} {side} has no live stop",
        "The open {side} position of {quantity} contracts has no live stop for its whole quantity.",
        _position,
    ),
    EventType.EFFECT_ESCALATED: _Rule(
        "an order of {symbol} could not be cancelled",
        "Order {order_id} ({order_type}, {reason}) still stands after {attempts} attempts: {problem}\n"
        "It is tried again until the venue shows it gone.",
        _data("symbol", "order_id"),
        6 * _HOUR_MS,
    ),
    EventType.STOP_FAILED: _Rule(
        "{symbol} {side}: no stop could be placed ({reason})",
        "Wanted: a stop at {trigger_price} for {quantity} contracts. {problem}",
        _data("symbol", "side", "reason"),
    ),
    EventType.CLEANUP_FAILURE_PATTERN: _Rule(
        "cancels keep failing",
        "{failures} cancels failed within {window_s} s. Look at them with: trueup status",
        lambda _: None,
    ),
    EventType.CLOSE_FAILED: _Rule(
        "{symbol} {side} could not be closed",
        "The close at market that was asked for is not carried out: {outcome}\nIt is tried again.",
        _position,
    ),
    EventType.CLOSED_ON_ABSENCE: _Rule(
        "{symbol} was closed on absence alone",
        "No fill proves this close: {why}\nSee why with: trueup explain {position_id}",
        _position,
    ),
    EventType.ACCOUNT_UNOBSERVED: _Rule(
        "not observed since {since}",
        "The venue has not been seen completely since {since}: {problem}\n"
        "The book stands as it was; nothing is decided meanwhile. Check with: trueup doctor",
        _data("kind"),
        6 * _HOUR_MS,
    ),
    EventType.ACCOUNT_OBSERVED_AGAIN: _Rule(
        "observed again",
        "It had not been observed since {since}.",
        _data("since_ms"),
        clears=EventType.ACCOUNT_UNOBSERVED,
    ),
    EventType.REQUESTS_STOPPED: _Rule(
        "the venue wants no request for {seconds} s",
        "Since {since} nobody behind this address may ask or act: {accounts}.\n{problem}",
        lambda _: None,
    ),
    EventType.STREAM_DOWN: _Rule(
        "the stream is down since {since}",
        "Changes are noticed at the next audit only, every {audit_interval_s} s: {problem}",
        lambda _: None,
        6 * _HOUR_MS,
    ),
    EventType.STREAM_UP_AGAIN: _Rule(
        "the stream is up again",
        "It had been down since {since}.",
        _data("since_ms"),
        clears=EventType.STREAM_DOWN,
    ),
    EventType.TRAILING_STOP_FAILED: _Rule(
        "{symbol} {side}: the venue sets no trailing stop",
        "{problem}\nIts fixed stop stands. It is tried again.",
        _position,
    ),
    EventType.PRICE_FEED_DOWN: _Rule(
        "mark prices do not come since {since}",
        "Trailing stops of {following} positions follow prices that are asked for meanwhile: {fallback} ({problem}).\n"
        "none: they stand where they are until prices come again. {fallback_problem}",
        _data("fallback"),
    ),
    EventType.PRICE_FEED_UP_AGAIN: _Rule(
        "mark prices come again",
        "They had not come since {since}.",
        _data("since_ms"),
        clears=EventType.PRICE_FEED_DOWN,
    ),
}

_LOUDNESS: Mapping[EventType, Severity] = {
    EventType.ACCOUNT_OBSERVED_AGAIN: Severity.ERROR,
    EventType.STREAM_UP_AGAIN: Severity.WARNING,
    EventType.PRICE_FEED_UP_AGAIN: Severity.WARNING,
}
"""All-clears are said quietly and told like the trouble that they end."""


class _Words(dict[str, object]):
    """What an event does not say is told as a dash."""

    def __missing__(self, key: str) -> object:
        return "-"


def notices_of(events: Iterable[NewEvent], min_severity: Severity) -> list[Notice]:
    """The notices of a transaction's events, in their order; one for each finding."""
    found: dict[str, Notice] = {}
    for event in events:
        rule = _RULES.get(event.type)
        if rule is None or event.account is None:
            continue
        if _LOUDNESS.get(event.type, event.severity).rank >= min_severity.rank:
            notice = _notice(event, event.account, rule)
            found.setdefault(notice.dedup, notice)
    return list(found.values())


def _notice(event: NewEvent, account: str, rule: _Rule) -> Notice:
    known = {name: "-" if value is None else value for name, value in event.data.items()}
    words = _Words(known, account=account, symbol=event.symbol or "-", position_id=event.position_id or "-")
    since = event.data.get("since_ms")
    if isinstance(since, int):
        words["since"] = time_text(since)
    subject = to_json(rule.subject(event))
    if len(subject) > _LONGEST_SUBJECT:
        subject = hashlib.sha256(subject.encode()).hexdigest()[:32]
    return Notice(
        title=f"trueup {account}: {rule.title.format_map(words)}",
        body=rule.body.format_map(words),
        severity=event.severity,
        event_type=event.type,
        account=account,
        symbol=event.symbol,
        dedup=f"{event.type.value}:{subject}",
        at_ms=event.at_ms,
    )


def heartbeat(account: str, standing: Sequence[str], now_ms: int) -> Notice:
    """The daily sign of life, with what stands open in words. Its absence is the alarm."""
    ok = "Everything is in order." if not standing else "\n".join(standing)
    return Notice(
        title="trueup: alive",
        body=f"{ok}\nThe next sign of life comes in 24 hours.",
        severity=Severity.INFO,
        event_type=None,
        account=account,
        dedup=_HEARTBEAT,
        at_ms=now_ms,
    )


def told_name(dedup_key: str) -> str:
    """The name of the finding that a notice's effect tells."""
    return dedup_key.removeprefix("notify:").rpartition("@")[0]


def untold(notices: Iterable[Notice], told: Mapping[str, int], now_ms: int) -> list[Notice]:
    """Those whose time has come.

    Args:
        told: Name of a finding → when it was last told, at least over the last `LONGEST_REPEAT_MS`.
    """
    return [notice for notice in notices if _is_due(notice, told, now_ms)]


def _is_due(notice: Notice, told: Mapping[str, int], now_ms: int) -> bool:
    last = told.get(notice.dedup)
    if notice.event_type is None:
        return last is None or now_ms - last >= DAY_MS
    rule = _RULES[notice.event_type]
    if last is not None and now_ms - last < rule.repeat_ms:
        return False
    return rule.clears is None or _was_told(rule.clears, told, notice)


def _was_told(trouble: EventType, told: Mapping[str, int], all_clear: Notice) -> bool:
    """Whether the trouble was told since it began, or since the last all-clear of its kind."""
    troubles = [at for name, at in told.items() if name.startswith(f"{trouble.value}:")]
    clears = [at for name, at in told.items() if name.startswith(f"{_type(all_clear)}:")]
    return bool(troubles) and max(troubles) > max(clears, default=-1)


def _type(notice: Notice) -> str:
    return notice.event_type.value if notice.event_type is not None else _HEARTBEAT


def notice_effects(notices: Iterable[Notice], places: int, now_ms: int) -> list[NewEffect]:
    """One effect for each notice and place: a place that fails holds no other up, and none is told twice for it."""
    return [
        NewEffect(
            account=notice.account,
            kind=EffectKind.NOTIFY,
            dedup_key=f"notify:{notice.dedup}@{place}",
            payload=to_json(msgspec.structs.replace(notice, place=place)),
            created_at_ms=now_ms,
        )
        for notice in notices
        for place in range(places)
    ]
