"""A look as the daemon takes it, from the bytes of the venue's answers to what it decided, without network and database.

1. What runs is the program's own: the client's handling of an answer, the adapter, the reconciler. Only the transport below the
   client, the clock (it stands still) and the reading of the book's rows (they are in memory already) are replaced.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from bench.holdings import ACCOUNT, NOW_MS, Holdings
from trueup.core.cases import AdoptionPolicy, Policy
from trueup.engine.account import AccountReconciler
from trueup.engine.looks import Look, LookOptions
from trueup.engine.settings import AccountPlan
from trueup.model.changes import ActiveBook, ChangeSet, Committed
from trueup.model.instruments import Instrument
from trueup.model.observations import Identity
from trueup.model.positions import AccountMode
from trueup.ports import Owner, Store
from trueup.store.memory import MemoryDatabase, MemoryStore
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.client import Client, make_client
from trueup.venues.markets import Markets

__all__ = ["Looking"]


class StillClock:
    """It is always the same moment."""

    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_s(self) -> float:
        return 1_000.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class _Canned(Client):
    """Answers with kept bytes, handled as ccxt hands an answer to our client."""

    holdings: Holdings
    looks = 0
    requests = 0

    async def _call(self, endpoint: str, params: Mapping[str, str | int], *, source: str, action: bool) -> Any:
        self.requests += 1
        body = self._answer(endpoint, params)
        url, headers = f"https://venue/{endpoint}", {"Content-Type": "application/json"}
        raw = self._exchange.on_rest_response(200, "OK", url, "GET", headers, body.decode(), {}, None)
        envelope = self._exchange.parse_json(raw)
        self._exchange.handle_errors(200, "OK", url, "GET", headers, raw, envelope, {}, None)
        return envelope

    def _answer(self, endpoint: str, params: Mapping[str, str | int]) -> bytes:
        if endpoint == "fapiPrivateV3GetPositionRisk":
            return self._pages()[0]
        if endpoint == "fapiPrivateGetSymbolConfig":
            return json.dumps([{"symbol": row["symbol"], "leverage": 10} for row in self.holdings.rows]).encode()
        if endpoint == "privateGetV5PositionList" and params.get("settleCoin") == "USDT":
            return self._pages()[int(str(params.get("cursor", "page0"))[4:])]
        if endpoint == "privateGetV5PositionList":
            return b'{"retCode":0,"retMsg":"OK","result":{"nextPageCursor":"","list":[]},"retExtInfo":{},"time":1}'
        raise AssertionError(f"{endpoint} {dict(params)} was not to be asked")

    def _pages(self) -> Sequence[bytes]:
        return self.holdings.answers[self.looks % len(self.holdings.answers)]


class _Listed:
    """An adapter whose account, clock and market list are known."""

    holdings: Holdings

    async def identity(self) -> Identity:
        return Identity(fingerprint="bench", strength="user_id")

    async def _read_time(self) -> int:
        return NOW_MS

    async def _read_instruments(self) -> list[Instrument]:
        return list(self.holdings.catalog)


class _Binance(_Listed, BinanceVenue):
    pass


class _Bybit(_Listed, BybitVenue):
    pass


class _Book(MemoryStore):
    """The rows that the book has, read already; counts what is written."""

    def __init__(self, holdings: Holdings) -> None:
        super().__init__(MemoryDatabase(lambda: NOW_MS))
        self._read = ActiveBook(positions=holdings.book)
        self.commits = 0

    async def active(self, account: str) -> ActiveBook:
        return self._read

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        self.commits += 1
        return Committed()


class Looking:
    """One account's looks, one after the other. Use it from one event loop.

    `store`: None: the rows are in memory already, and what would be written is not.
    """

    def __init__(self, holdings: Holdings, store: Store | None = None) -> None:
        clock = StillClock()
        client = make_client(
            holdings.ccxt_id, api_key="k", api_secret="s", rest_url="http://127.0.0.1:1", proxy=None, clock=clock
        )
        client.__class__ = _Canned  # as the program makes it, but for what it is sent through
        self.client = cast(_Canned, client)
        self.client.holdings = holdings
        kind = _Binance if holdings.venue == "binance" else _Bybit
        self.venue = kind(ACCOUNT, self.client, Markets(holdings.ccxt_id, clock))
        self.venue.holdings = holdings
        self.store: Store = store or _Book(holdings)
        self.clock = clock
        policy = Policy(
            adoption=AdoptionPolicy(what="adopt"), new_row_grace_ms=60_000, confirm_after_ms=30_000, confirm_snapshots=2
        )
        self.plan = AccountPlan(
            name=ACCOUNT,
            venue=holdings.ccxt_id,
            mode=AccountMode.SYNC,
            policy=policy,
            mass_close_fraction=Decimal("0.3"),
            mass_close_window_ms=600_000,
        )
        self.reconciler = AccountReconciler(self.plan, self.venue, self.store, clock)
        self._owner: Owner | None = None
        self._count = len(holdings.book)

    async def look(self) -> Look:
        """An audit without the order lists.

        Raises:
            RuntimeError: It found a difference: not what is measured here.
        """
        look = await self.first()
        found = look.settlement
        count = len(found.agreed) + len(found.verified)
        if count != self._count or found.updates or found.events or look.quarantined:
            raise RuntimeError(f"not in sync: {count} of {self._count} verified, {found.events[:2]}")
        return look

    async def first(self) -> Look:
        """An audit, whatever it finds."""
        if self._owner is None:
            self._owner = await self.store.claim(ACCOUNT, "bench", 60.0)
        self.client.looks += 1
        return await self.reconciler.look(self._owner, LookOptions(orders=False, announce=False))

    async def aclose(self) -> None:
        await self.client.aclose()
