"""What is told: the numbered promises of `trueup.core.notices`."""

from __future__ import annotations

import msgspec
import pytest

from trueup.core.notices import LONGEST_REPEAT_MS, heartbeat, notice_effects, notices_of, told_name, untold
from trueup.model.effects import EffectKind, Notice
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.times import DAY_MS
from trueup.model.values import from_json

NOW = 1_795_000_000_000
HOUR = 3_600_000
HOLD_DATA: dict[str, object] = {
    "kind": "mass_close",
    "summary": "2 of 3 vanished",
    "keys": [["A", "long"], ["B", "short"]],
}


def event(kind: EventType, severity: Severity = Severity.ERROR, /, **data: object) -> NewEvent:
    return NewEvent(type=kind, severity=severity, account="main", at_ms=NOW, symbol="ETH/USDT:USDT", data=data)


def told(*events: NewEvent, least: Severity = Severity.WARNING) -> list[Notice]:
    return notices_of(events, least)


def names(notices: list[Notice]) -> list[str]:
    return [notice.dedup for notice in notices]


def test_1_an_event_of_a_named_type_is_told_in_its_own_words() -> None:
    [notice] = told(event(EventType.HOLD_RAISED, **HOLD_DATA))
    assert notice.title == "trueup main: a decision waits for you (mass_close)"
    assert notice.body.startswith("2 of 3 vanished\n")
    assert (notice.event_type, notice.severity, notice.account) == (EventType.HOLD_RAISED, Severity.ERROR, "main")
    assert (notice.symbol, notice.at_ms) == ("ETH/USDT:USDT", NOW)


def test_1_a_position_is_named_by_its_symbol_and_number() -> None:
    about = event(EventType.CLOSED_ON_ABSENCE, why="not seen")
    [notice] = told(msgspec.structs.replace(about, position_id=7))
    assert notice.title == "trueup main: ETH/USDT:USDT was closed on absence alone"
    assert notice.body.endswith("See why with: trueup explain 7")
    [unknown] = told(msgspec.structs.replace(about, symbol=None))
    assert unknown.title == "trueup main: - was closed on absence alone"
    assert unknown.body.endswith("See why with: trueup explain -")


@pytest.mark.parametrize(
    "kind",
    [
        EventType.HOLD_RAISED,
        EventType.IDENTITY_MISMATCH,
        EventType.POSITION_UNPROTECTED,
        EventType.EFFECT_ESCALATED,
        EventType.CLEANUP_FAILURE_PATTERN,
        EventType.CLOSE_FAILED,
        EventType.CLOSED_ON_ABSENCE,
        EventType.ACCOUNT_UNOBSERVED,
        EventType.STREAM_DOWN,
    ],
)
def test_1_what_an_event_does_not_say_is_told_as_a_dash_and_nothing_stays_unfilled(kind: EventType) -> None:
    [notice] = told(event(kind))
    assert "{" not in notice.title + notice.body


def test_1_braces_in_an_events_data_are_told_as_they_are() -> None:
    [notice] = told(event(EventType.CLOSED_ON_ABSENCE, why="answered {account!r} {0}"))
    assert "answered {account!r} {0}" in notice.body


def test_4_what_no_rule_names_and_what_is_too_quiet_is_not_told() -> None:
    assert told(event(EventType.POSITION_VERIFIED, Severity.CRITICAL)) == []
    assert told(event(EventType.NOTICE_FAILED, Severity.CRITICAL)) == []
    assert told(event(EventType.CLOSED_ON_ABSENCE, Severity.WARNING), least=Severity.ERROR) == []
    assert len(told(event(EventType.CLOSED_ON_ABSENCE, Severity.WARNING))) == 1


def test_2_the_same_finding_has_the_same_name_in_whatever_order_it_is_seen() -> None:
    turned = {**HOLD_DATA, "summary": "other words", "keys": [["B", "short"], ["A", "long"]]}
    first, second = told(event(EventType.HOLD_RAISED, **HOLD_DATA)), told(event(EventType.HOLD_RAISED, **turned))
    assert names(first) == names(second)
    changed = told(event(EventType.HOLD_RAISED, **{**HOLD_DATA, "keys": [["A", "long"]]}))
    assert names(changed) != names(first)


def test_2_a_transaction_tells_a_finding_once() -> None:
    again = event(EventType.HOLD_RAISED, **HOLD_DATA)
    assert len(told(again, again)) == 1


def test_2_it_is_told_again_only_when_its_time_has_come() -> None:
    [notice] = told(event(EventType.IDENTITY_MISMATCH, pinned="1", found="2"))
    assert untold([notice], {}, NOW) == [notice]
    assert untold([notice], {notice.dedup: NOW - HOUR + 1}, NOW) == []
    assert untold([notice], {notice.dedup: NOW - HOUR}, NOW) == [notice]
    [changed] = told(event(EventType.IDENTITY_MISMATCH, pinned="1", found="3"))
    assert untold([changed], {notice.dedup: NOW}, NOW) == [changed]


@pytest.mark.parametrize(
    ("kind", "hours"),
    [
        (EventType.POSITION_UNPROTECTED, 1),
        (EventType.STOP_FAILED, 1),
        (EventType.EFFECT_ESCALATED, 6),
        (EventType.ACCOUNT_UNOBSERVED, 6),
        (EventType.STREAM_DOWN, 6),
        (EventType.HOLD_RAISED, 24),
    ],
)
def test_2_what_stands_is_told_again_after_its_hours(kind: EventType, hours: int) -> None:
    [notice] = told(event(kind))
    assert untold([notice], {notice.dedup: NOW - hours * HOUR + 1}, NOW) == []
    assert untold([notice], {notice.dedup: NOW - hours * HOUR}, NOW) == [notice]


def test_2_no_repetition_is_longer_than_what_is_looked_back_at() -> None:
    for kind in EventType:
        for notice in told(event(kind, Severity.CRITICAL)):
            alarms = (EventType.ACCOUNT_UNOBSERVED, EventType.STREAM_DOWN, EventType.PRICE_FEED_DOWN)
            trouble = {f"{alarm.value}:[]": NOW - 1 for alarm in alarms}
            long_ago = {notice.dedup: NOW - LONGEST_REPEAT_MS}
            assert untold([notice], {**long_ago, **trouble}, NOW) == [notice], kind


def test_3_an_all_clear_is_told_to_those_who_were_told_of_the_trouble() -> None:
    [clear] = told(event(EventType.ACCOUNT_OBSERVED_AGAIN, Severity.INFO, since_ms=NOW - HOUR))
    [trouble] = told(event(EventType.ACCOUNT_UNOBSERVED, kind="RateLimited", since_ms=NOW - HOUR))
    assert untold([clear], {}, NOW) == []
    assert untold([clear], {trouble.dedup: NOW - 5}, NOW) == [clear]
    earlier = clear.dedup.replace(str(NOW - HOUR), str(NOW - 9))
    assert untold([clear], {trouble.dedup: NOW - 5, earlier: NOW - 4}, NOW) == [], "the last word was an all-clear"


@pytest.mark.parametrize(
    ("troubles", "clears", "due"),
    [
        ([NOW - 100, NOW - 5], [NOW - 50], True),
        ([NOW - 5, NOW - 100], [NOW - 50], True),
        ([NOW - 50], [NOW - 100, NOW - 5], False),
        ([NOW - 50], [NOW - 5, NOW - 100], False),
        ([NOW - 50], [NOW - 50], False),
    ],
    ids=["trouble last", "trouble last (turned)", "clear last", "clear last (turned)", "one transaction told both"],
)
def test_3_the_last_word_says_whether_an_all_clear_is_owed(troubles: list[int], clears: list[int], due: bool) -> None:
    [clear] = told(event(EventType.ACCOUNT_OBSERVED_AGAIN, Severity.INFO, since_ms=NOW))
    words = {f"{EventType.ACCOUNT_UNOBSERVED.value}:[{number}]": at for number, at in enumerate(troubles)}
    words |= {f"{EventType.ACCOUNT_OBSERVED_AGAIN.value}:[{number}]": at for number, at in enumerate(clears)}
    assert bool(untold([clear], words, NOW)) is due


def test_3_an_all_clear_is_as_loud_as_its_trouble() -> None:
    clear = event(EventType.ACCOUNT_OBSERVED_AGAIN, Severity.INFO, since_ms=NOW)
    assert len(told(clear, least=Severity.ERROR)) == 1
    assert told(clear, least=Severity.CRITICAL) == []


def test_4_the_heartbeat_comes_once_a_day_and_says_what_stands() -> None:
    calm, busy = heartbeat("main", (), NOW), heartbeat("main", ("main: 1 suspected",), NOW)
    assert "Everything is in order." in calm.body
    assert "main: 1 suspected" in busy.body
    assert untold([calm], {}, NOW) == [calm]
    assert untold([busy], {calm.dedup: NOW - HOUR}, NOW) == []
    assert untold([busy], {calm.dedup: NOW - DAY_MS}, NOW) == [busy]


def test_every_place_has_an_effect_of_its_own() -> None:
    [notice] = told(event(EventType.HOLD_RAISED, **HOLD_DATA))
    effects = notice_effects([notice], 2, NOW)
    assert [from_json(effect.payload, Notice).place for effect in effects] == [0, 1]
    assert {effect.kind for effect in effects} == {EffectKind.NOTIFY}
    assert len({effect.dedup_key for effect in effects}) == 2
    assert {told_name(effect.dedup_key) for effect in effects} == {notice.dedup}
    assert notice_effects([notice], 0, NOW) == []


def test_many_keys_make_no_long_name() -> None:
    keys = [[f"COIN{number}/USDT:USDT", "long"] for number in range(200)]
    [notice] = told(event(EventType.HOLD_RAISED, kind="mass_close", keys=keys))
    assert len(notice.dedup) < 100
