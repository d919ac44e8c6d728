"""What the daemon counts, for Prometheus, and whether it is healthy.

1. Every series of a configured account exists from the start, at 0 where it counts.
2. Counters and durations come from the engine as things happen (`Meter`); what stands now is read when somebody asks (`show`).
3. An account is healthy while its last complete look is at most three audit intervals old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trueup.model.positions import Evidence, Position
from trueup.model.reports import AccountReport, AccountStatus
from trueup.model.values import Value

if TYPE_CHECKING:
    from trueup.ports import Clock

__all__ = ["AccountHealth", "Metrics", "PaceNow"]

_INTERVALS = 3
_SLACK_S = 1.0
_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class TrailingCount(Protocol):
    """What `Metrics.trailing` reads of each account."""

    @property
    def following(self) -> int: ...

    @property
    def fed(self) -> bool: ...

    @property
    def moves(self) -> int: ...


class AccountHealth(Value, frozen=True, kw_only=True):
    """`observed_age_s`: of the last complete look of this process; None: there was none yet."""

    healthy: bool
    observed_age_s: float | None
    allowed_age_s: float
    error: str | None


class PaceNow(Value, frozen=True, kw_only=True):
    """An account's audit interval as it is now; of its way out's limit, the share in use (0 to 1); the rest that it keeps."""

    interval_s: float
    used_ratio: float = 0.0
    stopped_s: float = 0.0


class Metrics:
    """Implements `trueup.ports.Meter` over a registry of its own."""

    def __init__(self, intervals_s: Mapping[str, float], clock: Clock) -> None:
        """Args: `intervals_s`: the audit interval of each account."""
        self._clock = clock
        self._intervals_s = dict(intervals_s)
        self._observed_at_s: dict[str, float] = {}
        self._errors: dict[str, str | None] = {}
        self._failures: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        self.registry = CollectorRegistry()
        self._looks = self._counter("looks", "Looks at the venue")
        self._unobserved = self._counter("unobserved", "Looks that did not come back complete: they changed nothing")
        self._seconds = Histogram(
            "trueup_look_duration_seconds",
            "Of one look, from the first request to the commit",
            ["account"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._closed = self._counter("closed", "Positions closed in the book, by what proves it", "evidence")
        self._added = self._counter("added", "Venue positions that the book lacked, added to it")
        self._changed = self._counter("changed", "Positions whose quantity or entry was corrected")
        self._cleaned = self._counter("cleanups", "Orders of ended positions that are gone from the venue")
        self._cleanup_failures = self._counter(
            "cleanup_failures", "Attempts at a cancel that used up a pass and failed"
        )
        self._numbers = {
            name: self._counter(series, text)
            for name, (series, text) in {
                "unprotected_seconds": ("unprotected_seconds", "Seconds in which positions were seen without cover"),
                "times_covered": ("covered", "Positions without cover that got it"),
                "cover_seconds": ("cover_seconds", "Seconds that it took to cover them"),
                "stops_placed": ("stops_placed", "Stops that were placed, and seen on the venue"),
                "stops_swept": ("stops_swept", "Stops of ours that were not needed any more"),
                "orphans_gone": ("orphans_gone", "Orders of ended positions that we took off the venue"),
                "orphan_seconds": ("orphan_seconds", "Seconds for which those had stood"),
            }.items()
        }
        self._numbers_seen: dict[tuple[str, str], float] = {}
        self._effects = self._gauge("pending_effects", "Effects that are not carried out yet, notices included")
        self._holds = self._gauge("open_holds", "Decisions that wait for a person")
        self._positions = self._gauge("positions", "Active rows of the book")
        self._unprotected = self._gauge("unprotected_positions", "Positions that should have a live stop and have none")
        self._suspected = self._gauge(
            "suspected_positions", "Active rows that the venue does not show, not proven closed"
        )
        self._quarantined = self._gauge("quarantined_rows", "Rows that could not be read at the newest look")
        self._stream = self._gauge("stream_up", "1 while the private stream is confirmed")
        self._following = self._gauge("trailing_stops", "Positions whose stop follows the price")
        self._prices = self._gauge("price_feed_up", "1 while every followed price comes by stream, or none is followed")
        self._moves = self._counter("trailing_moves", "Times that a trailing stop moved")
        self._age = self._gauge("observed_age_seconds", "Since the last complete look of this process; NaN before it")
        self._interval = self._gauge("audit_interval_seconds", "Between two audits, as the request budget allows now")
        self._configured = self._gauge("audit_interval_configured_seconds", "Between two audits, as configured")
        self._used = self._gauge(
            "request_budget_used_ratio", "Of the way out's limit and its running window, by us or by others"
        )
        self._stopped = self._gauge("requests_stopped_seconds", "How long the venue still wants no request at all")
        self._skew = self._gauge("clock_skew_seconds", "The venue's clock less ours; NaN before it was measured")
        self._weight = self._gauge(
            "request_weight_used", "Of the way out's running minute, as the venue last told it; NaN: not told"
        )
        self._readable = Gauge(
            "trueup_store_up", "1 while the store answered the last question", registry=self.registry
        )
        for account, interval_s in self._intervals_s.items():
            self._begin(account, interval_s)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"trueup_{name}_total", text, ["account", *labels], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"trueup_{name}", text, ["account"], registry=self.registry)

    def _begin(self, account: str, interval_s: float) -> None:
        counters = (self._looks, self._unobserved, self._added, self._changed, self._cleaned, self._cleanup_failures)
        gauges = (self._effects, self._holds, self._positions, self._unprotected, self._suspected, self._quarantined)
        for series in (
            *counters,
            *self._numbers.values(),
            *gauges,
            self._stream,
            self._seconds,
            self._following,
            self._moves,
        ):
            series.labels(account)
        self._prices.labels(account).set(1)
        for evidence in Evidence:
            self._closed.labels(account, evidence.value)
        for measure in (self._used, self._stopped):
            measure.labels(account).set(0)
        for unknown in (self._age, self._skew, self._weight):
            unknown.labels(account).set(float("nan"))
        self._interval.labels(account).set(interval_s)
        self._configured.labels(account).set(interval_s)

    def looked(self, account: str, seconds: float, *, observed: bool) -> None:
        """See `trueup.ports.Meter`."""
        self._looks.labels(account).inc()
        self._seconds.labels(account).observe(seconds)
        if observed:
            self._observed_at_s[account] = self._clock.monotonic_s()
        else:
            self._unobserved.labels(account).inc()

    def heard(self, account: str, closed: Sequence[Position], changed: int) -> None:
        """See `trueup.ports.Meter`."""
        for position in closed:
            if position.close is not None:
                self._closed.labels(account, position.close.evidence.value).inc()
        self._changed.labels(account).inc(changed)

    def passed(self, report: AccountReport) -> None:
        """See `trueup.ports.Meter`."""
        account = report.account
        self._errors[account] = report.error
        if not report.applied:
            return
        self.heard(account, report.closed_phantom, len(report.updated_quantity))
        self._added.labels(account).inc(len(report.added_missing))
        self._cleaned.labels(account).inc(len(report.protection.cancelled))

    def show(self, statuses: Iterable[AccountStatus], weights: Mapping[str, int | None]) -> None:
        """What stands now. `weights`: request weight used, by account."""
        for status in statuses:
            account = status.account
            if account not in self._intervals_s:
                continue
            failures = status.cleanup_failures_total
            self._cleanup_failures.labels(account).inc(max(0, failures - self._failures.get(account, 0)))
            self._failures[account] = failures
            for name, counter in self._numbers.items():
                value = float(getattr(status.protection, name))
                counter.labels(account).inc(max(0.0, value - self._numbers_seen.get((account, name), 0.0)))
                self._numbers_seen[account, name] = value
            self._effects.labels(account).set(status.pending_effects)
            self._holds.labels(account).set(status.open_holds)
            self._positions.labels(account).set(status.positions)
            self._unprotected.labels(account).set(status.unprotected)
            self._suspected.labels(account).set(status.suspected)
            self._quarantined.labels(account).set(status.quarantined)
            skew = status.clock_skew_ms
            self._skew.labels(account).set(float("nan") if skew is None else skew / 1000)
            weight = weights.get(account)
            self._weight.labels(account).set(float("nan") if weight is None else weight)

    def streams(self, words: Mapping[str, str]) -> None:
        """How each account's stream stands, as `status` words it."""
        for account, word in words.items():
            self._stream.labels(account).set(word == "up")

    def trailing(self, healths: Mapping[str, TrailingCount]) -> None:
        """How following prices stands, by account."""
        for account, health in healths.items():
            self._following.labels(account).set(health.following)
            self._prices.labels(account).set(health.fed)
            self._moves.labels(account).inc(max(0, health.moves - self._moved.get(account, 0)))
            self._moved[account] = health.moves

    def paced(self, paces: Mapping[str, PaceNow]) -> None:
        """What each account's way out allows now."""
        for account, now in paces.items():
            self._intervals_s[account] = now.interval_s
            self._interval.labels(account).set(now.interval_s)
            self._used.labels(account).set(now.used_ratio)
            self._stopped.labels(account).set(now.stopped_s)

    def store_answered(self, answered: bool) -> None:
        self._readable.set(answered)

    def health(self) -> dict[str, AccountHealth]:
        """By account."""
        return {account: self._health(account) for account in self._intervals_s}

    def _health(self, account: str) -> AccountHealth:
        seen = self._observed_at_s.get(account)
        age = self._clock.monotonic_s() - seen if seen is not None else None
        allowed = _INTERVALS * self._intervals_s[account] + _SLACK_S
        return AccountHealth(
            healthy=age is not None and age <= allowed,
            observed_age_s=None if age is None else round(age, 3),
            allowed_age_s=allowed,
            error=self._errors.get(account),
        )

    @property
    def accounts(self) -> Sequence[str]:
        return tuple(self._intervals_s)

    def text(self) -> bytes:
        """The text format of Prometheus."""
        for account, health in self.health().items():
            if health.observed_age_s is not None:
                self._age.labels(account).set(health.observed_age_s)
        return generate_latest(self.registry)
