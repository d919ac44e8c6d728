"""What Prometheus is told, and when an account counts as healthy: the numbered promises of `trueup.metrics`."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trueup.metrics import Metrics
from trueup.model.orders import Side
from trueup.model.positions import AccountMode, CloseDetails, Evidence, ExitReason, Origin, Position, PositionStatus
from trueup.model.reports import AccountReport, AccountStatus


class HandClock:
    def __init__(self) -> None:
        self.at_s = 1_000.0

    def now_ms(self) -> int:
        return round(self.at_s * 1000)

    def monotonic_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def metrics(clock: HandClock) -> Metrics:
    return Metrics({"main": 30.0, "other": 60.0}, clock)


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                found[sample.name, *sample.labels.values()] = sample.value
    return found


def closed(evidence: Evidence) -> Position:
    details = CloseDetails(
        quantity=Decimal(1),
        exit_price=Decimal(1),
        settle_asset="USDT",
        realized_pnl=Decimal(0),
        exit_reason=ExitReason.EXTERNAL,
        evidence=evidence,
        complete=True,
        closed_at_ms=1,
    )
    return Position(
        position_id=1,
        account="main",
        venue="bybit",
        symbol="ETH/USDT:USDT",
        written_symbol="ETH/USDT:USDT",
        side=Side.LONG,
        status=PositionStatus.CLOSED,
        origin=Origin.BOT,
        quantity=Decimal(1),
        contract_size=Decimal(1),
        entry_price=Decimal(1),
        opened_at_ms=1,
        created_at_ms=1,
        updated_at_ms=1,
        close=details,
    )


def report(**parts: object) -> AccountReport:
    return AccountReport(account="main", venue="bybit", mode=AccountMode.SYNC, observed=True, **parts)  # type: ignore[arg-type]


def status(**parts: object) -> AccountStatus:
    values = {"account": "main", "venue": "bybit", "mode": AccountMode.SYNC, "audit_interval_s": 30.0}
    return AccountStatus(**{**values, "effective_interval_s": 30.0, **parts})  # type: ignore[arg-type]


def test_1_every_series_stands_at_0_from_the_start(metrics: Metrics) -> None:
    values = read(metrics)
    for account in ("main", "other"):
        for name in ("looks", "unobserved", "added", "changed", "cleanups", "cleanup_failures"):
            assert values[f"trueup_{name}_total", account] == 0
        for evidence in Evidence:
            assert values["trueup_closed_total", account, evidence.value] == 0
        for name in ("pending_effects", "open_holds", "unprotected_positions", "suspected_positions", "stream_up"):
            assert values[f"trueup_{name}", account] == 0
        assert values["trueup_look_duration_seconds_count", account] == 0


def test_1_what_was_never_measured_is_no_number(metrics: Metrics) -> None:
    values = read(metrics)
    for name in ("observed_age_seconds", "clock_skew_seconds", "request_weight_used"):
        assert math.isnan(values[f"trueup_{name}", "main"])


def test_2_looks_and_passes_are_counted_as_they_happen(metrics: Metrics) -> None:
    metrics.looked("main", 0.2, observed=True)
    metrics.looked("main", 0.4, observed=False)
    metrics.passed(report(closed_phantom=(closed(Evidence.FILLS), closed(Evidence.ABSENCE))))
    metrics.passed(report(closed_phantom=(closed(Evidence.FILLS),), applied=False))
    values = read(metrics)
    assert values["trueup_looks_total", "main"] == 2
    assert values["trueup_unobserved_total", "main"] == 1
    assert values["trueup_look_duration_seconds_sum", "main"] == pytest.approx(0.6)
    assert values["trueup_closed_total", "main", "fills"] == 1, "what would be done is not done"
    assert values["trueup_closed_total", "main", "absence"] == 1
    assert values["trueup_looks_total", "other"] == 0


def test_2_what_stands_is_what_was_read_last(metrics: Metrics) -> None:
    metrics.show([status(pending_effects=3, clock_skew_ms=-250, cleanup_failures_total=2)], {"main": 70})
    metrics.show([status(pending_effects=1, clock_skew_ms=-250, cleanup_failures_total=5)], {"main": 71})
    metrics.streams({"main": "up", "other": "down: closed"})
    metrics.store_answered(True)
    values = read(metrics)
    assert values["trueup_pending_effects", "main"] == 1
    assert values["trueup_cleanup_failures_total", "main"] == 5
    assert values["trueup_clock_skew_seconds", "main"] == -0.25
    assert values["trueup_request_weight_used", "main"] == 71
    assert (values["trueup_stream_up", "main"], values["trueup_stream_up", "other"]) == (1, 0)
    assert values["trueup_store_up",] == 1


def test_3_healthy_for_three_intervals_after_a_complete_look(metrics: Metrics, clock: HandClock) -> None:
    assert not metrics.health()["main"].healthy, "never observed"
    metrics.looked("main", 0.1, observed=True)
    clock.at_s += 90
    assert metrics.health()["main"].healthy
    metrics.looked("main", 0.1, observed=False)
    clock.at_s += 2
    found = metrics.health()["main"]
    assert (found.healthy, found.observed_age_s) == (False, 92)
    metrics.looked("main", 0.1, observed=True)
    assert metrics.health()["main"].healthy
    assert not metrics.health()["other"].healthy
