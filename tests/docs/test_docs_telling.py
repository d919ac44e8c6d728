"""docs/telling.md against the rules of notices and the metrics that the daemon answers."""

from __future__ import annotations

import re

from docs_pages import codes, rows, section

from trueup.bootstrap.clock import SystemClock
from trueup.core.notices import notice_effects, notices_of, told_name, untold
from trueup.metrics import Metrics
from trueup.model.effects import Notice
from trueup.model.events import EventType, NewEvent, Severity

PAGE = "docs/telling.md"
HOUR_MS = 3_600_000


def _notice(kind: EventType) -> Notice | None:
    """What an event of that type is told as; None: it is not told."""
    event = NewEvent(type=kind, severity=Severity.CRITICAL, account="main", at_ms=0)
    return next(iter(notices_of([event], Severity.INFO)), None)


def test_the_events_that_are_told_and_how_often() -> None:
    told = {codes(cells[0])[0]: cells for cells in rows(section(PAGE, "Notices"))}
    assert set(told) == {kind.value for kind in EventType if _notice(kind) is not None}
    for name, (_, _, again) in told.items():
        notice = _notice(EventType(name))
        assert notice is not None
        before = {told_name(effect.dedup_key): 0 for effect in notice_effects([notice], 1, 0)}
        if not name.endswith("_AGAIN"):
            due_ms = int(again.removesuffix(" h")) * HOUR_MS
            assert untold([notice], before, due_ms - 1) == [], name
            assert untold([notice], before, due_ms) == [notice], name


def test_every_metric_is_told() -> None:
    told = {codes(cells[0])[0] for cells in rows(section(PAGE, "`/metrics`"))}
    text = Metrics({"main": 30.0}, SystemClock()).text().decode()
    shown = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert told == {name for name in shown if not name.endswith("_created")}
