"""Binance position rows as reports.

1. The sign of `positionAmt` is the side in one-way mode (`BOTH`); in hedge mode `positionSide` is, and the sign must
   agree.
2. An explicit zero is stale; a missing or unreadable size is `Unobserved`; any other nonsense is `Quarantined`.
3. Of several rows of one key the one with the latest `updateTime` counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from trueup.model.decimals import ZERO, optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import Side
from trueup.venues.binance.instruments import CATEGORY
from trueup.venues.binance.rows import PlainPositionRow, PositionRow
from trueup.venues.validation import explicit_size
from trueup.venues.wire import LARGEST, time_or_none

__all__ = ["LEGS", "PositionReader", "ReadPositions", "leg_of", "open_keys", "read_positions", "report_of"]

LEGS: Mapping[str | None, Side | None] = {"LONG": Side.LONG, "SHORT": Side.SHORT, "BOTH": None}

_LONG, _SHORT = Side.LONG, Side.SHORT  # an enumeration's members are slow to look up
_NO_LEVERAGES: Mapping[str, Decimal] = {}


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


class PositionReader:
    """Reads one account's answers one after the other.

    An open position's row mostly differs from its row in the answer before by prices of the market alone: such a row is read by
    them, and the rest is what it was read to then.
    """

    def __init__(self) -> None:
        self._by: tuple[object, object] = (None, None)
        self._rows: Sequence[PositionRow] = ()
        self._told: Sequence[PositionReport | None] = ()

    def read(
        self,
        rows: Sequence[PositionRow],
        catalog: InstrumentCatalog,
        source: str,
        leverages: Mapping[str, Decimal] = _NO_LEVERAGES,
    ) -> ReadPositions:
        """Reads all rows of one answer.

        Args:
            leverages: By unified symbol, for rows that state none.

        Raises:
            Unobserved: A row's size is missing or unreadable.
        """
        told = None
        if self._by[0] is catalog and self._by[1] is leverages and len(self._rows) == len(rows):
            told = self._told_again(rows, catalog, leverages)
        if told is not None:
            reports = [report for report in told if report is not None]
            found = ReadPositions(reports=reports, stale=len(rows) - len(reports))
        else:
            found, told = _read(rows, catalog, source, leverages)
        comparable = len(found.reports) + found.stale == len(rows)
        self._by = (catalog, leverages)
        self._rows, self._told = (rows, told) if comparable else ((), ())
        return found

    def _told_again(
        self, rows: Sequence[PositionRow], catalog: InstrumentCatalog, leverages: Mapping[str, Decimal]
    ) -> list[PositionReport | None] | None:
        """What rows in the same order, of the same positions, are read to; None: it is another list."""
        told: list[PositionReport | None] = []
        tell, replace = told.append, msgspec.structs.replace
        for row, before, known in zip(rows, self._rows, self._told, strict=True):
            if row.symbol != before.symbol or row.__class__ is not PlainPositionRow:
                return None
            if known is None:
                if row.position_amt != before.position_amt:
                    return None
                tell(None)
                continue
            if (
                row.update_time == before.update_time
                and row.position_amt == before.position_amt
                and row.entry_price == before.entry_price
                and row.position_side == before.position_side
                and row.liquidation_price == before.liquidation_price
                and row.leverage is before.leverage
            ):
                try:
                    mark_price = Decimal(row.mark_price)
                    if mark_price > ZERO and mark_price.is_finite():
                        tell(replace(known, mark_price=mark_price))
                        continue
                except ArithmeticError:
                    pass
            report = _plain_report(row, catalog.listed(CATEGORY)[row.symbol], leverages)
            if report is None or report.side is not known.side or report.hedge is not known.hedge:
                return None
            tell(report)
        return told


def _read(
    rows: Sequence[PositionRow], catalog: InstrumentCatalog, source: str, leverages: Mapping[str, Decimal]
) -> tuple[ReadPositions, list[PositionReport | None]]:
    """An answer by itself; and what each of its rows was read to (None: to nothing)."""
    found = ReadPositions()
    told: list[PositionReport | None] = []
    listed = catalog.listed(CATEGORY)
    places: dict[Side, dict[str, int]] = {_LONG: {}, _SHORT: {}}
    for row in rows:
        instrument = listed.get(row.symbol)
        report = None
        if instrument is not None and row.__class__ is PlainPositionRow:
            report = _plain_report(row, instrument, leverages)
        if report is None:
            report = _odd_report(row, instrument, source, found, leverages)
        told.append(report)
        if report is None:
            continue
        fresh = len(found.reports)
        place = places[report.side].setdefault(row.symbol, fresh)
        if place == fresh:
            found.reports.append(report)
        elif (report.updated_at_ms or 0) >= (found.reports[place].updated_at_ms or 0):
            found.reports[place] = report
    return found, told


def read_positions(
    rows: Sequence[PositionRow],
    catalog: InstrumentCatalog,
    source: str,
    leverages: Mapping[str, Decimal] = _NO_LEVERAGES,
) -> ReadPositions:
    """Reads one answer by itself; see `PositionReader.read`."""
    return PositionReader().read(rows, catalog, source, leverages)


def _plain_report(
    row: PlainPositionRow, instrument: Instrument, leverages: Mapping[str, Decimal]
) -> PositionReport | None:
    """An open position's row read without a detour, to what `_odd_report` would make of it; None: it is to be asked."""
    try:
        size, entry_price, mark_price = Decimal(row.position_amt), Decimal(row.entry_price), Decimal(row.mark_price)
        if size > ZERO:
            side, quantity = _LONG, size
        else:
            side, quantity = _SHORT, -size
        if not (quantity and entry_price > ZERO and mark_price > ZERO and 0 < row.update_time <= LARGEST):
            return None
        text = row.liquidation_price
        liquidation_price = None if text == "0" else positive_or_none(text, "liquidationPrice")
        leg = LEGS[row.position_side]
    except (ArithmeticError, KeyError, Unreadable):
        return None
    if leg is not None and leg is not side:
        return None
    if row.leverage is not None or not (size.is_finite() and entry_price.is_finite() and mark_price.is_finite()):
        return None
    return PositionReport(
        symbol=instrument.symbol,
        side=side,
        quantity=quantity,
        contract_size=instrument.contract_size,
        entry_price=entry_price,
        mark_price=mark_price,
        liquidation_price=liquidation_price,
        leverage=leverages.get(instrument.symbol),
        hedge=leg is not None,
        updated_at_ms=row.update_time,
    )


def _odd_report(
    row: PositionRow,
    instrument: Instrument | None,
    source: str,
    found: ReadPositions,
    leverages: Mapping[str, Decimal],
) -> PositionReport | None:
    """Any row; None: it is no open position, or one that could not be read, as `found` then says.

    Raises:
        Unobserved: Its size is missing or unreadable.
    """
    size = explicit_size(row.position_amt, "positionAmt", row.symbol, source)
    if size == 0:
        found.stale += 1
        return None
    if instrument is None:
        found.unlisted.append(row.symbol)
        problem = f"{row.symbol} is not in the venue's market list (size {size})"
        found.quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
        return None
    try:
        report = report_of(row, size, instrument)
    except Unreadable as error:
        found.quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
        return None
    stated = report.leverage or leverages.get(report.symbol)
    return report if stated is report.leverage else msgspec.structs.replace(report, leverage=stated)


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
