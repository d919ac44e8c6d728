"""The original system's start, on a venue that serves: `python -m bench.original_start FILE` (FILE as `bench.served` prints it).

One ccxt exchange object an account, as it had one an exchange: it loads its markets, fetches the positions, compares them with
the book (`bench.original`), writes every row by a statement of its own, and then asks for each position's conditional orders.
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


async def synchronize(url: str, account: dict[str, Any], book: sqlite3.Connection) -> int:
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
        for symbol in found["verified"]:
            orders = await exchange.fetch_open_orders(unified[symbol], params={"trigger": True})
            covered += any(order.get("triggerPrice") for order in orders)
        return covered
    finally:
        await exchange.close()


async def main(venue: dict[str, Any]) -> None:
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
        done = sum([await synchronize(venue["url"], one, book) for one in venue["accounts"]])
        book.close()
    held = sum(len(one["positions"]) for one in venue["accounts"])
    if done != held:
        raise SystemExit(f"{done} of {held} positions verified with a stop")


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
