"""A process of plain ccxt instances, one an account, as bots make them: `python -m bench.plain URL`, accounts as JSON on stdin.

Prints the MiB that each instance after the first few takes: `load_markets` and `fetch_positions` were called once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import ccxt.async_support as ccxt

from bench.machine import resident_mib

_WARM = 4


async def main(url: str, accounts: list[list[str]]) -> float:
    instances: list[Any] = []
    before_mib = 0.0
    try:
        for number, (venue, key, secret) in enumerate(accounts):
            if number == _WARM:
                before_mib = resident_mib()
            kind = {"binance": ccxt.binanceusdm, "bybit": ccxt.bybit}[venue]
            exchange = kind(
                {"apiKey": key, "secret": secret, "options": {"defaultType": "swap", "fetchMarkets": ["linear"]}}
            )
            exchange.has = {**exchange.has, "fetchCurrencies": False}
            exchange.urls = {**exchange.urls, "api": _redirected(exchange.urls["api"], url, exchange)}
            instances.append(exchange)
            await exchange.load_markets()
            await exchange.fetch_positions()
        return (resident_mib() - before_mib) / (len(accounts) - _WARM)
    finally:
        for exchange in instances:
            await exchange.close()


def _redirected(api: dict[str, str], url: str, exchange: Any) -> dict[str, str]:
    found = {}
    for name, old in api.items():
        if isinstance(old, str):
            path = exchange.implode_hostname(old).split("://", 1)[-1].partition("/")[2]
            found[name] = f"{url}/{path}".rstrip("/")
    return found


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], json.load(sys.stdin))))
