"""Bybit position rows as reports, and the stops that sit on them as orders.

1. An explicit zero `size` is flat, whatever its `side` says (`""` as a rule); a missing or unreadable one is
   `Unobserved`; a size without a side, or any other nonsense, is `Quarantined`.
2. `positionIdx` 1 and 2 are the hedge legs; their side must agree.
3. A row may come on two pages: the one with the higher `seq`, then the later `updatedTime`, counts.
4. A stop attached to the position is an order of list `ATTACHED` under an id of our own, which names the slot.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from trueup.model.decimals import ZERO, optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side
from trueup.venues.bybit.rows import PlainPositionRow, PositionRow
from trueup.venues.validation import explicit_size
from trueup.venues.wire import LARGEST, count_or_none, time_or_none, whole

__all__ = ["PositionReader", "ReadPositions", "attached_id", "attached_orders", "leg_of", "read_positions", "report_of"]

_SIDES: Mapping[str | None, Side] = {"Buy": Side.LONG, "Sell": Side.SHORT}
_LEGS = {0: None, 1: Side.LONG, 2: Side.SHORT}
_ONE_WAY = (0, "0")
_DIGITS_OF_MS = 13  # until the year 2286
_NONE = ("", "0")
"""How the venue writes that there is none of a price."""


@dataclass(slots=True)
class ReadPositions:
    """`unlisted`: ids of rows with a size that the market list does not have."""

    reports: list[PositionReport] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    stale: int = 0


def leg_of(position_idx: object, what: str) -> Side | None:
    """`positionIdx` 0 → None (one-way), 1 → the long leg, 2 → the short leg.

    Raises:
        Unreadable: Anything else.
    """
    index = whole(position_idx, what)
    if index not in _LEGS:
        raise Unreadable(what, expected="0, 1 or 2", found=position_idx)
    return _LEGS[index]


def _order_of(row: PositionRow) -> tuple[int, int]:
    try:
        return count_or_none(row.seq, "seq") or -1, count_or_none(row.updated_time, "updatedTime") or 0
    except Unreadable:
        return -1, 0


class PositionReader:
    """Reads one list's answers one after the other.

    An open position's row mostly differs from its row in the answer before by prices of the market alone: such a row is read by
    them, and the rest is what it was read to then.
    """

    def __init__(self) -> None:
        self._catalog: InstrumentCatalog | None = None
        self._rows: Sequence[PositionRow] = ()
        self._told: Sequence[PositionReport] = ()

    def read(
        self, rows: Sequence[PositionRow], category: str, catalog: InstrumentCatalog, source: str
    ) -> ReadPositions:
        """Reads all rows of one category and settle coin.

        Raises:
            Unobserved: A row's size is missing or unreadable.
        """
        reports = None
        listed = catalog.listed(category)
        if catalog is self._catalog and len(self._rows) == len(rows):
            reports = self._told_again(rows, listed)
        found = ReadPositions(reports=reports) if reports is not None else _read(rows, category, listed, source)
        comparable = len(found.reports) == len(rows)
        self._catalog = catalog
        self._rows, self._told = (rows, found.reports) if comparable else ((), ())
        return found

    def _told_again(self, rows: Sequence[PositionRow], listed: Mapping[str, Instrument]) -> list[PositionReport] | None:
        """What rows in the same order, of the same slots, are read to; None: it is another list."""
        reports: list[PositionReport] = []
        for row, before, known in zip(rows, self._rows, self._told, strict=True):
            if row.symbol != before.symbol or row.__class__ is not PlainPositionRow:
                return None
            if row.position_idx != before.position_idx:
                return None
            report = _at_other_prices(row, before, known) or _plain_report(row, listed[row.symbol])
            if report is None:
                return None
            reports.append(report)
        return reports


def read_positions(
    rows: Sequence[PositionRow], category: str, catalog: InstrumentCatalog, source: str
) -> ReadPositions:
    """Reads one answer by itself; see `PositionReader.read`."""
    return PositionReader().read(rows, category, catalog, source)


def _read(rows: Sequence[PositionRow], category: str, listed: Mapping[str, Instrument], source: str) -> ReadPositions:
    found = ReadPositions()
    for row in _latest_rows(rows, source):
        instrument = listed.get(row.symbol)
        report = None
        if instrument is not None and row.__class__ is PlainPositionRow:
            report = _plain_report(row, instrument)
        if report is None:
            report = _odd_report(row, instrument, f"{category} market list", source, found)
        if report is not None:
            found.reports.append(report)
    return found


def _latest_rows(rows: Sequence[PositionRow], source: str) -> Iterable[PositionRow]:
    """Each slot's latest row.

    Raises:
        Unobserved: The size of a row that another one replaces is missing or unreadable.
    """
    latest: dict[object, PositionRow] = {}
    for row in rows:
        index = row.position_idx
        slot = row.symbol if index in _ONE_WAY else (row.symbol, str(index))
        held = latest.setdefault(slot, row)
        if held is not row:
            later, earlier = (row, held) if _order_of(row) >= _order_of(held) else (held, row)
            explicit_size(earlier.size, "size", earlier.symbol, source)
            latest[slot] = later
    return latest.values()


def _at_other_prices(row: PlainPositionRow, before: PositionRow, report: PositionReport) -> PositionReport | None:
    """What `before` was read to, with this row's prices of the market; None: it differs in something else."""
    if (
        row.updated_time != before.updated_time
        or row.size != before.size
        or row.avg_price != before.avg_price
        or row.side != before.side
        or row.seq != before.seq
        or row.stop_loss != before.stop_loss
        or row.take_profit != before.take_profit
        or row.trailing_stop != before.trailing_stop
        or row.leverage != before.leverage
    ):
        return None
    liquidation = row.liq_price
    try:
        mark_price = Decimal(row.mark_price)
        if not (mark_price > ZERO and mark_price.is_finite()):
            return None
        if liquidation == before.liq_price:
            return msgspec.structs.replace(report, mark_price=mark_price)
        liquidation_price = positive_or_none(liquidation, "liqPrice")
    except (ArithmeticError, Unreadable):
        return None
    return msgspec.structs.replace(report, mark_price=mark_price, liquidation_price=liquidation_price)


def _plain_report(row: PlainPositionRow, instrument: Instrument) -> PositionReport | None:
    """An open position's row read without a detour, to what `_odd_report` would make of it; None: it is to be asked."""
    index, changed, sequence = row.position_idx, row.updated_time, row.seq
    liquidation, loss, profit, trailing = row.liq_price, row.stop_loss, row.take_profit, row.trailing_stop
    try:
        size, entry_price, mark_price = Decimal(row.size), Decimal(row.avg_price), Decimal(row.mark_price)
        if not (size > ZERO and entry_price > ZERO and mark_price > ZERO and -LARGEST <= sequence <= LARGEST):
            return None
        if not (len(changed) == _DIGITS_OF_MS and changed.isdecimal() and changed.isascii()):
            return None
        side, leg = _SIDES[row.side], _LEGS[index]
        report = PositionReport(
            symbol=instrument.symbol,
            side=side,
            quantity=size,
            contract_size=instrument.contract_size,
            entry_price=entry_price,
            mark_price=mark_price,
            liquidation_price=None if liquidation in _NONE else positive_or_none(liquidation, "liqPrice"),
            leverage=_leverage(row.leverage),
            hedge=leg is not None,
            position_index=index,
            updated_at_ms=int(changed),
            sequence=sequence,
            stop_loss=None if loss in _NONE else positive_or_none(loss, "stopLoss"),
            take_profit=None if profit in _NONE else positive_or_none(profit, "takeProfit"),
            trailing_distance=None if trailing in _NONE else positive_or_none(trailing, "trailingStop"),
        )
    except (ArithmeticError, KeyError, Unreadable):
        return None
    if leg is not None and leg is not side:
        return None
    return report if size.is_finite() and entry_price.is_finite() and mark_price.is_finite() else None


@functools.lru_cache(1024)
def _leverage(text: str) -> Decimal | None:
    """The same few texts come again and again."""
    return optional_decimal(text, "leverage")


def _odd_report(
    row: PositionRow, instrument: Instrument | None, where: str, source: str, found: ReadPositions
) -> PositionReport | None:
    """Any row; None: it is no open position, or one that could not be read, as `found` then says.

    Raises:
        Unobserved: Its size is missing or unreadable.
    """
    size = explicit_size(row.size, "size", row.symbol, source)
    if size == 0:
        found.stale += 1
        return None
    if instrument is None:
        found.unlisted.append(row.symbol)
        problem = f"{row.symbol} is not in the venue's {where} (size {size})"
        found.quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
        return None
    try:
        return report_of(row, size, instrument)
    except Unreadable as error:
        found.quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
        return None


def report_of(row: PositionRow, size: Decimal, instrument: Instrument) -> PositionReport:
    """One row whose size is not zero, from a list or from the stream.

    Raises:
        Unreadable: It has no side, the side is not its leg's, or its numbers are nonsense.
    """
    side = _SIDES.get(row.side)
    if side is None:
        raise Unreadable("side", expected="Buy or Sell beside a size", found=row.side)
    leg = leg_of(row.position_idx, "positionIdx")
    if leg is not None and leg is not side:
        raise Unreadable("side", expected=f"that of leg {row.position_idx}", found=row.side)
    if size < 0:
        raise Unreadable("size", expected="a positive size beside a side", found=str(size))
    entry = row.avg_price if row.avg_price is not None else row.entry_price
    entry_price = parse_decimal(entry, "avgPrice")
    if entry_price <= 0:
        raise Unreadable("avgPrice", expected="a positive price of an open position", found=str(entry_price))
    return PositionReport(
        symbol=instrument.symbol,
        side=side,
        quantity=size,
        contract_size=instrument.contract_size,
        entry_price=entry_price,
        mark_price=positive_or_none(row.mark_price, "markPrice"),
        liquidation_price=positive_or_none(row.liq_price, "liqPrice"),
        leverage=optional_decimal(row.leverage, "leverage"),
        hedge=leg is not None,
        position_index=whole(row.position_idx, "positionIdx"),
        updated_at_ms=time_or_none(row.updated_time, "updatedTime"),
        sequence=count_or_none(row.seq, "seq"),
        stop_loss=positive_or_none(row.stop_loss, "stopLoss"),
        take_profit=positive_or_none(row.take_profit, "takeProfit"),
        trailing_distance=positive_or_none(row.trailing_stop, "trailingStop"),
    )


def attached_id(instrument: Instrument, position_index: int, kind: OrderKind) -> str:
    """Our id of the stop of that kind on that slot; the same in every look."""
    return f"attached:{instrument.category}:{instrument.venue_symbol}:{position_index}:{kind.value}"


def attached_orders(report: PositionReport, instrument: Instrument) -> list[OpenOrder]:
    """The stops that sit on a position. A trailing stop has a distance, and no trigger price that the row shows."""
    index = report.position_index or 0
    stops = (
        (OrderKind.STOP, report.stop_loss, "stopLoss"),
        (OrderKind.TAKE_PROFIT, report.take_profit, "takeProfit"),
        (OrderKind.TRAILING_STOP, report.trailing_distance, "trailingStop"),
    )
    return [
        OpenOrder(
            symbol=report.symbol,
            order_id=attached_id(instrument, index, kind),
            client_order_id=None,
            order_list=OrderList.ATTACHED,
            kind=kind,
            order_side=report.side.exit_side,
            position_side=report.side if report.hedge else None,
            reduce_only=True,
            close_position=True,
            trigger_price=None if kind is OrderKind.TRAILING_STOP else level,
            venue_type=word,
        )
        for kind, level, word in stops
        if level is not None
    ]
