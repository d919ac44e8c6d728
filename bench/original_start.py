"""The original system's start, on a venue that serves: `python -m bench.original_start FILE [--once]`.

FILE is as `bench.served` prints it. One ccxt exchange object an account, as it had one an exchange.
It loads its markets, and then

1. synchronizes: the positions, the comparison with the book (`bench.original`), a statement of its own for every row;
2. loads (`PositionManager.load_positions_from_db`): before it trusts a row it asks for all positions again and looks for that one
   (`verify_position_exists`; `--once` leaves this out);
3. checks protection: for every position it asks for the conditional orders of its symbol.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt

from bench.original import compare, normalize_symbol

_UPDATE = "UPDATE positions SET quantity = ?, current_price = ?, pnl = ?, updated_at = datetime('now') WHERE id = ?"


def _exchange(url: str, key: str, secret: str) -> Any:
    exchange = ccxt.binanceusdm({"apiKey": key, "secret": secret, "enableRateLimit": False})
    exchange.has = {**exchange.has, "fetchCurrencies": False}
    api = exchange.urls["api"]
    exchange.urls["api"] = {
        name: re.sub("https://[^/]+", url, one) if isinstance(one, str) else one for name, one in api.items()
    }
    return exchange


async def _exists(exchange: Any, symbol: str) -> bool:
    """Whether all positions, asked for once more, have that one."""
    for position in await exchange.fetch_positions():
        if normalize_symbol(position["symbol"]) == symbol and abs(float(position.get("contracts") or 0)) > 0:
            return True
    return False


async def start(url: str, account: dict[str, Any], book: sqlite3.Connection, *, once: bool) -> int:
    """One account; how many positions are verified and have a stop."""
    exchange = _exchange(url, account["key"], account["secret"])
    try:
        await exchange.load_markets()
        rows = [
            {"id": row[0], "symbol": row[1], "quantity": row[2]}
            for row in book.execute("SELECT id, symbol, quantity FROM positions WHERE account = ?", (account["name"],))
        ]
        found = compare("binanceusdm", rows, await exchange.fetch_positions())
        for row_id, quantity, mark, pnl in found["update"]:
            with book:
                book.execute(_UPDATE, (quantity, mark, pnl, row_id))
        covered = 0
        unified = {normalize_symbol(symbol): symbol for symbol in exchange.symbols}
        loaded = [symbol for symbol in found["verified"] if once or await _exists(exchange, symbol)]
        for symbol in loaded:
            orders = await exchange.fetch_open_orders(unified[symbol], params={"trigger": True})
            covered += any(order.get("triggerPrice") for order in orders)
        return covered
    finally:
        await exchange.close()


async def main(venue: dict[str, Any], *, once: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = sqlite3.connect(Path(folder, "book.db"))
        book.execute(
            "CREATE TABLE positions (id INTEGER PRIMARY KEY, account TEXT, symbol TEXT, quantity REAL, current_price REAL,"
            " pnl REAL, updated_at TEXT)"
        )
        for one in venue["accounts"]:
            rows = [(one["name"], symbol, float(size)) for symbol, _, size, _ in one["positions"]]
            book.executemany("INSERT INTO positions (account, symbol, quantity) VALUES (?, ?, ?)", rows)
        book.commit()
        done = sum([await start(venue["url"], one, book, once=once) for one in venue["accounts"]])
        book.close()
    held = sum(len(one["positions"]) for one in venue["accounts"])
    if done != held:
        raise SystemExit(f"{done} of {held} positions verified with a stop")


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), once="--once" in sys.argv[2:]))
