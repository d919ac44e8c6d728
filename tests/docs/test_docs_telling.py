"""docs/alerts.md and docs/metrics.md name what there is, and nothing else."""

from __future__ import annotations

import re

from tests.docs.docs_blocks import DOCS
from trueup.core.notices import notices_of, untold
from trueup.metrics import Metrics
from trueup.model.effects import Notice
from trueup.model.events import EventType, NewEvent, Severity

HOUR_MS = 3_600_000


class _NoClock:
    def now_ms(self) -> int:
        raise AssertionError("not asked")

    def monotonic_s(self) -> float:
        raise AssertionError("not asked")

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("not asked")


def rows(page: str) -> list[list[str]]:
    """First cells of every table's rows that begin with code."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("| `")]


def notice(kind: EventType) -> Notice | None:
    """What an event of that type is told as; None: it is not told."""
    event = NewEvent(type=kind, severity=Severity.CRITICAL, account="main", at_ms=0)
    return next(iter(notices_of([event], Severity.INFO)), None)


def test_the_alerts_page_lists_every_event_that_is_told_and_how_often() -> None:
    told = {row[0].strip("`"): row[2] for row in rows("alerts.md")}
    assert set(told) == {kind.value for kind in EventType if notice(kind) is not None}
    for name, again in told.items():
        one = notice(EventType(name))
        assert one is not None
        if again != "with its trouble":
            due_ms = int(again.removesuffix(" h")) * HOUR_MS
            assert untold([one], {one.dedup: 0}, due_ms - 1) == [], name
            assert untold([one], {one.dedup: 0}, due_ms) == [one], name


def test_the_metrics_page_lists_every_series_with_its_labels() -> None:
    found = {}
    for family in Metrics({"main": 30.0}, _NoClock()).registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = labels
    told = {row[0].strip("`"): set(filter(None, row[1].split(", "))) for row in rows("metrics.md")}
    assert told == found
