"""The book as tables: one an account, open positions apart from closed ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from trueup.cli.table import Column, numbers, table
from trueup.cli.text import (
    BLANK,
    UNKNOWN,
    Line,
    Span,
    Style,
    age,
    clock_text,
    duration,
    line,
    moment,
    money,
    paragraph,
    plural,
    signed,
)
from trueup.model.positions import CloseDetails, Evidence, Position

__all__ = ["amounts_text", "common_unit", "position_name", "positions_screen", "quote_of", "result_parts"]

_EMPTY = {
    "active": "The book has no open position{where}. `trueup sync` looks at the venue and adopts what the book lacks.",
    "closed": "The book has no closed position{where} yet.",
    "all": "The book is empty{where}. `trueup sync` looks at the venue and adopts what the book lacks.",
}


def quote_of(symbol: str) -> str:
    """The quote currency of a unified symbol; ``quote`` where it has another form."""
    _, slash, rest = symbol.partition("/")
    return rest.partition(":")[0] if slash else "quote"


def common_unit(units: Iterable[str]) -> str | None:
    """The one unit that all share; None where they differ."""
    found = set(units)
    return found.pop() if len(found) == 1 else None


def position_name(position: Position) -> str:
    return f"{position.symbol} {position.side.value}"


def result_parts(close: CloseDetails) -> list[Line]:
    """The money of a close: gross PnL, fees, funding where known, net."""
    parts = [
        line("PnL ", signed(close.realized_pnl, close.settle_asset), (" gross", Style.DIM)),
        line("fees ", amounts_text((fee.asset, fee.amount) for fee in close.fees)),
    ]
    if close.funding is not None:
        parts.append(line("funding ", signed(close.funding, close.settle_asset)))
    return [*parts, line("net ", signed(close.net_pnl, close.settle_asset))]


def positions_screen(
    positions: Sequence[Position], *, status: str, account: str | None, now_ms: int, width: int | None
) -> list[Line]:
    """Tables by account, or a sentence where there is nothing."""
    if not positions:
        where = f" of account {account}" if account else ""
        return paragraph(_EMPTY[status].format(where=where), width)
    lines: list[Line] = []
    for name, venue in dict.fromkeys((position.account, position.venue) for position in positions):
        rows = [position for position in positions if (position.account, position.venue) == (name, venue)]
        opened = [position for position in rows if position.close is None]
        closed = [position for position in rows if position.close is not None]
        for word, some, draw in (("open", opened, _open_table), ("closed", closed, _closed_table)):
            if some:
                lines += [BLANK] if lines else []
                heading = f" · {venue} · {plural(len(some), f'{word} position')}"
                lines.append(line((name, Style.STRONG), (heading, Style.DIM)))
                lines += draw(some, now_ms, width)
    return lines + _remarks(positions, width)


def _prices(positions: Sequence[Position], header: str, values: Sequence[Decimal | None], drop: int) -> Column:
    unit = common_unit(quote_of(position.symbol) for position in positions) or "quote"
    return Column(header, numbers(values), unit=unit, right=True, drop=drop)


def _names(positions: Sequence[Position]) -> list[Column]:
    return [
        Column("ID", [str(position.position_id) for position in positions], right=True),
        Column("Symbol", [position.symbol for position in positions]),
        Column("Side", [position.side.value for position in positions]),
    ]


def _sizes(positions: Sequence[Position]) -> list[Column]:
    columns = [Column("Quantity", numbers([position.quantity for position in positions]), unit="contracts", right=True)]
    sizes = [position.contract_size for position in positions]
    if any(size is not None and size != 1 for size in sizes):
        columns.append(Column("Size of one", numbers(sizes), unit="base/quote", right=True, drop=6))
    return columns


def _open_table(positions: Sequence[Position], now_ms: int, width: int | None) -> list[Line]:
    columns = [
        *_names(positions),
        *_sizes(positions),
        _prices(positions, "Entry", [position.entry_price for position in positions], drop=3),
        _prices(positions, "Mark", [position.current_price for position in positions], drop=4),
        Column(
            "Opened",
            [moment(position.opened_at_ms, now_ms) for position in positions],
            drop=5,
            short=[age(position.opened_at_ms, now_ms) for position in positions],
        ),
    ]
    notes = [_note(position, now_ms) for position in positions]
    if any(text for text, _ in notes):
        columns.append(Column("Note", notes))
    return table(columns, width)


def _note(position: Position, now_ms: int) -> Span:
    if position.suspected_since_ms is not None:
        return (f"suspected {duration(max(now_ms - position.suspected_since_ms, 0) // 1000)}", Style.WARN)
    return ("unverified", Style.WARN) if position.unverified else ("", Style.PLAIN)


def _closed_table(positions: Sequence[Position], now_ms: int, width: int | None) -> list[Line]:
    closes = [position.close for position in positions if position.close is not None]
    settle = common_unit(close.settle_asset for close in closes)
    columns = [
        *_names(positions),
        *_sizes(positions),
        _prices(positions, "Exit", [close.exit_price for close in closes], drop=2),
        _pnl("PnL gross", [(close.realized_pnl, close.settle_asset) for close in closes], settle, drop=0),
        Column("Fees", [amounts_text((fee.asset, fee.amount) for fee in close.fees) for close in closes], drop=5),
        _pnl("PnL net", [(close.net_pnl, close.settle_asset) for close in closes], settle, drop=3),
        Column("Reason", [close.exit_reason.value for close in closes], drop=1),
        Column("Proof", [_proof(close.evidence) for close in closes], drop=4),
        Column(
            "Closed",
            [moment(close.closed_at_ms, now_ms) for close in closes],
            drop=6,
            short=[clock_text(close.closed_at_ms, now_ms) for close in closes],
        ),
    ]
    return table(columns, width)


def _pnl(header: str, values: Sequence[tuple[Decimal | None, str]], settle: str | None, drop: int) -> Column:
    if settle is None:
        return Column(header, [signed(value, asset) for value, asset in values], right=True, drop=drop)
    texts = numbers([None if value is None else abs(value) for value, _ in values])
    cells: list[str | Span] = []
    for text, (value, _) in zip(texts, values, strict=True):
        if value is None:
            cells.append((UNKNOWN, Style.DIM))
        else:
            sign, style = ("+", Style.GOOD) if value > 0 else ("-", Style.BAD) if value < 0 else ("", Style.PLAIN)
            cells.append((sign + text, style))
    return Column(header, cells, unit=settle, right=True, drop=drop)


def _proof(evidence: Evidence) -> Span:
    return (evidence.value, Style.WARN if evidence is Evidence.ABSENCE else Style.PLAIN)


def amounts_text(amounts: Iterable[tuple[str, Decimal]]) -> str:
    """``0.02 USDT + 0.0001 BNB``; unknown is a dash."""
    return " + ".join(money(amount, asset) for asset, amount in amounts) or UNKNOWN


def _remarks(positions: Sequence[Position], width: int | None) -> list[Line]:
    lines: list[Line] = []
    if any(position.suspected_since_ms is not None for position in positions):
        lines += paragraph(
            "suspected: the venue does not show it, and nothing proves yet that it was closed; it stays open.",
            width,
            style=Style.DIM,
        )
    if any(position.close is not None and position.close.estimated for position in positions):
        lines += paragraph(
            "absence: no history proves the close; its amounts are estimates or unknown.", width, style=Style.DIM
        )
    return [BLANK, *lines] if lines else []
