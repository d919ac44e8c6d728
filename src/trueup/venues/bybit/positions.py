"""Bybit position rows as reports, and the stops that sit on them as orders.

1. An explicit zero `size` is flat, whatever its `side` says (`""` as a rule); a missing or unreadable one is
   `Unobserved`; a size without a side, or any other nonsense, is `Quarantined`.
2. `positionIdx` 1 and 2 are the hedge legs; their side must agree.
3. A row may come on two pages: the one with the higher `seq`, then the later `updatedTime`, counts.
4. A stop attached to the position is an order of list `ATTACHED` under an id of our own, which names the slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.model.decimals import optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side
from trueup.venues.bybit.rows import PositionRow
from trueup.venues.validation import explicit_size
from trueup.venues.wire import count_or_none, time_or_none, whole

__all__ = ["ReadPositions", "attached_id", "attached_orders", "latest_rows", "leg_of", "read_positions", "report_of"]

_SIDES = {"Buy": Side.LONG, "Sell": Side.SHORT}
_LEGS = {0: None, 1: Side.LONG, 2: Side.SHORT}


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


def latest_rows(rows: Iterable[PositionRow], source: str) -> list[tuple[PositionRow, Decimal]]:
    """Each slot's latest row with its size.

    Raises:
        Unobserved: A row's size is missing or unreadable.
    """
    latest: dict[tuple[str, str], tuple[tuple[int, int], PositionRow, Decimal]] = {}
    for row in rows:
        size = explicit_size(row.size, "size", row.symbol, source)
        slot = (row.symbol, str(row.position_idx))
        order = _order_of(row)
        if slot not in latest or order >= latest[slot][0]:
            latest[slot] = (order, row, size)
    return [(row, size) for _, row, size in latest.values()]


def _order_of(row: PositionRow) -> tuple[int, int]:
    try:
        return count_or_none(row.seq, "seq") or -1, count_or_none(row.updated_time, "updatedTime") or 0
    except Unreadable:
        return -1, 0


def read_positions(
    rows: Iterable[PositionRow], category: str, catalog: InstrumentCatalog, source: str
) -> ReadPositions:
    """Reads all rows of one category and settle coin.

    Raises:
        Unobserved: A row's size is missing or unreadable.
    """
    found = ReadPositions()
    for row, size in latest_rows(rows, source):
        if size == 0:
            found.stale += 1
            continue
        instrument = catalog.by_venue_symbol(category, row.symbol)
        if instrument is None:
            found.unlisted.append(row.symbol)
            problem = f"{row.symbol} is not in the venue's {category} market list (size {size})"
            found.quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
            continue
        try:
            found.reports.append(report_of(row, size, instrument))
        except Unreadable as error:
            found.quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
    return found


def report_of(row: PositionRow, size: Decimal, instrument: Instrument) -> PositionReport:
    """One row whose size is not zero, from a list or from the stream.

    Raises:
        Unreadable: It has no side, the side is not its leg's, or its numbers are nonsense.
    """
    side = _SIDES.get(row.side or "")
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
