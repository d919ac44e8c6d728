"""Binance position rows as reports.

1. The sign of `positionAmt` is the side in one-way mode (`BOTH`); in hedge mode `positionSide` is, and the sign must
   agree.
2. An explicit zero is stale; a missing or unreadable size is `Unobserved`; any other nonsense is `Quarantined`.
3. Of several rows of one key the one with the latest `updateTime` counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.model.decimals import optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import Side
from trueup.venues.binance.instruments import CATEGORY
from trueup.venues.binance.rows import PositionRow
from trueup.venues.validation import explicit_size
from trueup.venues.wire import time_or_none

__all__ = ["LEGS", "ReadPositions", "leg_of", "open_keys", "read_positions", "report_of"]

LEGS = {"LONG": Side.LONG, "SHORT": Side.SHORT, "BOTH": None}


@dataclass(slots=True)
class ReadPositions:
    """`unlisted`: ids of rows with a size that the market list does not have."""

    reports: list[PositionReport] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    stale: int = 0


def leg_of(position_side: str | None, what: str) -> Side | None:
    """`LONG`/`SHORT` → the hedge leg; `BOTH` → None.

    Raises:
        Unreadable: Anything else.
    """
    if position_side not in LEGS:
        raise Unreadable(what, expected="BOTH, LONG or SHORT", found=position_side)
    return LEGS[position_side]


def read_positions(rows: Iterable[PositionRow], catalog: InstrumentCatalog, source: str) -> ReadPositions:
    """Reads all rows of one answer.

    Raises:
        Unobserved: A row's size is missing or unreadable.
    """
    found = ReadPositions()
    latest: dict[tuple[str, Side], PositionReport] = {}
    for row in rows:
        size = explicit_size(row.position_amt, "positionAmt", row.symbol, source)
        if size == 0:
            found.stale += 1
            continue
        instrument = catalog.by_venue_symbol(CATEGORY, row.symbol)
        if instrument is None:
            found.unlisted.append(row.symbol)
            problem = f"{row.symbol} is not in the venue's market list (size {size})"
            found.quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
            continue
        try:
            report = report_of(row, size, instrument)
        except Unreadable as error:
            found.quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
            continue
        key = (report.symbol, report.side)
        if key not in latest or (report.updated_at_ms or 0) >= (latest[key].updated_at_ms or 0):
            latest[key] = report
    found.reports.extend(latest.values())
    return found


def open_keys(
    rows: Iterable[PositionRow], catalog: InstrumentCatalog, source: str
) -> tuple[list[tuple[str, Side]], bool]:
    """Which keys the rows show open, and whether all of them could be told (else absence from them says nothing).

    Raises:
        Unobserved: A row's size is missing or unreadable.
    """
    keys: list[tuple[str, Side]] = []
    all_told = True
    for row in rows:
        size = explicit_size(row.position_amt, "positionAmt", row.symbol, source)
        instrument = catalog.by_venue_symbol(CATEGORY, row.symbol)
        if size == 0:
            continue
        if instrument is None or row.position_side not in LEGS:
            all_told = False
        else:
            keys.append((instrument.symbol, LEGS[row.position_side] or (Side.LONG if size > 0 else Side.SHORT)))
    return keys, all_told


def report_of(row: PositionRow, size: Decimal, instrument: Instrument) -> PositionReport:
    """One row whose size is not zero.

    Raises:
        Unreadable: Its side and sign disagree, or its prices are nonsense.
    """
    leg = leg_of(row.position_side, "positionSide")
    signed = Side.LONG if size > 0 else Side.SHORT
    if leg is not None and leg is not signed:
        raise Unreadable(f"positionAmt of leg {row.position_side}", expected="the sign of that leg", found=str(size))
    entry_price = parse_decimal(row.entry_price, "entryPrice")
    if entry_price <= 0:
        raise Unreadable("entryPrice", expected="a positive price of an open position", found=str(entry_price))
    return PositionReport(
        symbol=instrument.symbol,
        side=signed,
        quantity=abs(size),
        contract_size=instrument.contract_size,
        entry_price=entry_price,
        mark_price=positive_or_none(row.mark_price, "markPrice"),
        liquidation_price=positive_or_none(row.liquidation_price, "liquidationPrice"),
        leverage=optional_decimal(row.leverage, "leverage"),
        hedge=leg is not None,
        updated_at_ms=time_or_none(row.update_time, "updateTime"),
    )
