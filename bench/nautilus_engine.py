"""nautilus_trader's live execution engine beside an account that it agrees with: the process that `bench.nautilus` asks.

1. What runs is the package's own, by its public entry `LiveExecutionEngine.reconcile_execution_state`: the adapter's execution
   client, its account API, its decoding into its own structs, its reports, the engine, the cache, the portfolio. Replaced is only
   what sends a request; the lists of orders and fills are empty and ask for nothing. Its log is off.
2. Its positions came to be as they do when it starts beside an account that it does not know: fills inferred from the reports.
3. After each sample it holds the positions and orders that it held before: a reconciliation that found a difference is an error.
4. Imports nothing of trueup, so that the interpreter needs nothing but the package.

Asked over standard input: a line of JSON (`venue`, `answers`: the lengths of each look's bodies), then the bodies, then for each
sample a line with how many. Answered by a line of JSON each: first `version` and `positions`, then `cpu_s`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import nautilus_trader
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.binance.futures.execution import BinanceFuturesExecutionClient
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.bybit.common.enums import BybitProductType
from nautilus_trader.adapters.bybit.config import BybitExecClientConfig
from nautilus_trader.adapters.bybit.execution import BybitExecutionClient
from nautilus_trader.adapters.bybit.http.client import BybitHttpClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus, init_logging
from nautilus_trader.common.enums import LogLevel
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.portfolio.portfolio import Portfolio

REST, STREAM = "http://127.0.0.1:1", "ws://127.0.0.1:1"
"""Nothing is sent there: the clients want an address."""

Looks = Sequence[Sequence[bytes]]


class _Canned:
    """Stands for the package's HTTP connection: hands out the bodies of one look, page after page."""

    def __init__(self) -> None:
        self.looks: Looks = ()
        self._look: list[bytes] = []
        self._number = 0

    def next_look(self) -> None:
        self._look = list(self.looks[self._number % len(self.looks)])
        self._number += 1

    async def request(self, *_: object, **__: object) -> Any:
        return SimpleNamespace(status=200, headers={}, body=self._look.pop(0))


class _OnlyPositions:
    """Neither orders nor fills are asked for: each of them would be a request a symbol."""

    async def generate_order_status_reports(self, command: object) -> list[Any]:
        return []

    async def generate_fill_reports(self, command: object) -> list[Any]:
        return []


class _Binance(_OnlyPositions, BinanceFuturesExecutionClient):
    suffix = "-PERP"


class _Bybit(_OnlyPositions, BybitExecutionClient):
    suffix = "-LINEAR"


class Engine:
    """One account's engine; `looks` are the bodies of the answers, one a page, of each of a few looks."""

    def __init__(self, venue: str, looks: Looks) -> None:
        self.wanted = _held(venue, looks[0])
        self._canned = _Canned()
        self._canned.looks = looks
        self._loop = asyncio.new_event_loop()
        clock = LiveClock()
        bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
        self.cache = Cache()
        self._portfolio = Portfolio(bus, self.cache, clock)
        common = {"loop": self._loop, "msgbus": bus, "cache": self.cache, "clock": clock}
        self._engine = LiveExecutionEngine(config=LiveExecEngineConfig(), **common)
        self.client = self._client(venue, common)
        self._engine.register_client(self.client)
        self._list(self.wanted)
        much, none = Money(10**9, USDT), Money(0, USDT)
        self.client.generate_account_state(
            balances=[AccountBalance(much, none, much)], margins=[], reported=True, ts_event=0
        )
        self._reconcile()
        self._check()

    def spend(self, times: int) -> float:
        """Processor seconds of so many reconciliations, each of an answer that agrees.

        Raises:
            RuntimeError: One of them found a difference.
        """
        gc.collect()
        began = time.process_time()
        for _ in range(times):
            self._reconcile()
        took = time.process_time() - began
        self._check()
        return took

    def _reconcile(self) -> None:
        self._canned.next_look()
        if not self._loop.run_until_complete(self._engine.reconcile_execution_state()):
            raise RuntimeError("nautilus_trader says that its reconciliation failed")

    def _check(self) -> None:
        orders = self.cache.orders_total_count()
        held = {str(one.instrument_id.symbol): one.signed_decimal_qty() for one in self.cache.positions_open()}
        wanted = {name + self.client.suffix: quantity for name, quantity in self.wanted.items()}
        if orders != len(wanted) or held != wanted:
            raise RuntimeError(
                f"not in sync: {len(held)} positions and {orders} orders where the answers have {len(wanted)} positions"
            )

    def _client(self, venue: str, common: dict[str, Any]) -> Any:
        given = {**common, "instrument_provider": InstrumentProvider()}
        kind = BinanceHttpClient if venue == "binance" else BybitHttpClient
        http = kind(common["clock"], "k", "s", REST)
        http._client = self._canned
        if venue == "binance":
            config = BinanceExecClientConfig(api_key="k", api_secret="s")
            return _Binance(client=http, base_url_ws=STREAM, config=config, **given)
        return _Bybit(
            client=http,
            product_types=[BybitProductType.LINEAR],
            base_url_ws_private=STREAM,
            base_url_ws_trade=STREAM,
            config=BybitExecClientConfig(api_key="k", api_secret="s"),
            name=None,
            **given,
        )

    def _list(self, symbols: Iterable[str]) -> None:
        """The instruments of these symbols of the venue."""
        tick, step = Price.from_str("0.0001"), Quantity.from_str("0.001")
        for name in symbols:
            id_ = InstrumentId(Symbol(name + self.client.suffix), self.client.venue)
            self.cache.add_instrument(
                CryptoPerpetual(
                    instrument_id=id_,
                    raw_symbol=Symbol(name),
                    base_currency=BTC,
                    quote_currency=USDT,
                    settlement_currency=USDT,
                    is_inverse=False,
                    price_precision=4,
                    size_precision=3,
                    price_increment=tick,
                    size_increment=step,
                    ts_event=0,
                    ts_init=0,
                )
            )


def _held(venue: str, bodies: Sequence[bytes]) -> dict[str, Decimal]:
    """Signed quantity by the venue's symbol, read without the package: what it has to come to hold."""
    answers = [json.loads(body) for body in bodies]
    if venue == "binance":
        return {row["symbol"]: Decimal(row["positionAmt"]) for answer in answers for row in answer}
    rows = [row for answer in answers for row in answer["result"]["list"]]
    return {row["symbol"]: Decimal(row["size"]) * (1 if row["side"] == "Buy" else -1) for row in rows}


def serve(read_line: Callable[[], bytes], read: Callable[[int], bytes], tell: Callable[[dict[str, Any]], None]) -> None:
    """Until the questions end."""
    asked = json.loads(read_line())
    engine = Engine(asked["venue"], [[read(length) for length in lengths] for lengths in asked["answers"]])
    tell({"version": nautilus_trader.__version__, "positions": len(engine.wanted)})
    while line := read_line():
        tell({"cpu_s": engine.spend(int(line))})


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the package prints is not taken for an answer

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    guard = init_logging(level_stdout=LogLevel.OFF)
    serve(sys.stdin.buffer.readline, sys.stdin.buffer.read, tell)
    del guard


if __name__ == "__main__":
    main()
