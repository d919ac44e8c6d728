"""The original system's algorithm, written anew from its description, to be measured beside ours.

1. Positions as ccxt's unified dictionaries; three phases keep the real ones: `contracts`, then the venue's own size field.
2. Two maps by normalized symbol; a loop over the book's rows verifies each or finds a phantom, a loop over the venue's finds what
   is missing. Amounts are binary floats.
3. Every row that is found on the venue has its quantity and price written by a statement of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.holdings import Holdings
from trueup.model.orders import Side

__all__ = ["book_rows", "compare", "normalize_symbol", "parsed_rows", "real_positions"]

Row = Mapping[str, Any]


def normalize_symbol(symbol: str) -> str:
    if "/" in symbol and ":" in symbol:
        return symbol.split(":", maxsplit=1)[0].replace("/", "")
    return symbol


def real_positions(exchange: str, positions: Iterable[Row]) -> list[Row]:
    """The three phases."""
    field = "positionAmt" if exchange == "binanceusdm" else "size"
    active = []
    for position in positions:
        if abs(float(position.get("contracts") or 0)) <= 0:
            continue
        if abs(float(position.get("info", {}).get(field, 0))) <= 0:
            continue
        active.append(position)
    return active


def compare(exchange: str, book: Sequence[Row], positions: Sequence[Row]) -> dict[str, list[Any]]:
    """One pass of `synchronize_exchange` without its writes; `update` holds what it writes row by row."""
    real = real_positions(exchange, positions)
    book_map = {normalize_symbol(row["symbol"]): row for row in book}
    exchange_map = {normalize_symbol(position["symbol"]): position for position in real}
    found: dict[str, list[Any]] = {"verified": [], "phantom": [], "missing": [], "quantity": [], "update": []}
    for symbol, row in book_map.items():
        position = exchange_map.get(symbol)
        if position is None:
            found["phantom"].append(row)
            continue
        quantity = abs(float(position["contracts"]))
        if abs(float(row["quantity"]) - quantity) > 0.000001:
            found["quantity"].append((row["id"], quantity))
        else:
            found["verified"].append(symbol)
        mark, pnl = float(position.get("markPrice") or 0), float(position.get("unrealizedPnl") or 0)
        found["update"].append((row["id"], quantity, mark, pnl))
    for symbol, position in exchange_map.items():
        if symbol not in book_map:
            found["missing"].append(position)
    return found


def book_rows(holdings: Holdings) -> list[dict[str, Any]]:
    """The book as a driver gives it."""
    return [
        {"id": row.position_id, "symbol": normalize_symbol(row.symbol), "quantity": float(row.quantity)}
        for row in holdings.book
    ]


def parsed_rows(holdings: Holdings) -> list[dict[str, Any]]:
    """What ccxt's parsing leaves of each row, as far as the algorithm reads it."""
    return [
        {
            "symbol": row.symbol,
            "contracts": float(row.quantity),
            "side": "long" if row.side is Side.LONG else "short",
            "markPrice": float(row.current_price or 0),
            "unrealizedPnl": 0.0,
            "info": raw,
        }
        for row, raw in zip(holdings.book, holdings.rows, strict=True)
    ]
