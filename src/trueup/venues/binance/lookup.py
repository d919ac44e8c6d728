"""Orders by id in the histories of both of Binance's lists.

1. An id is asked for as a regular order first, then as a conditional one.
2. A regular market or limit order may be what a conditional one became. It bears the parent's client id as a rule, but
   only the parent's `actualOrderId` proves it: the parent is asked for by that client id, and else searched in the
   symbol's conditional history, 28 days back from the order at most.
3. "Does not exist" is an answer (the id is left out); any other failure is `Unobserved`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from trueup.model.errors import Unobserved
from trueup.model.instruments import Instrument
from trueup.model.observations import OrderLookup
from trueup.model.orders import OrderKind, OrderRecord
from trueup.venues.binance import rows as wire
from trueup.venues.binance.orders import algo_record, child_id_of, fold_parent, order_record
from trueup.venues.faults import Refused
from trueup.venues.paging import WINDOW_MS
from trueup.venues.wire import exact, whole

__all__ = ["DOES_NOT_EXIST", "Lookup"]

T = TypeVar("T")

_PAGE = 1000
_BY_LIST_FROM = 6  # `allOrders` weighs as much as five single questions
_SEARCHED_WINDOWS = 4
_AFTER_MS = 60_000  # a parent is made before its child; the minute is for their clocks
DOES_NOT_EXIST = frozenset({"-2011", "-2013"})


class Ask(Protocol):
    async def __call__(
        self, endpoint: str, params: Mapping[str, str | int], reader: msgspec.json.Decoder[T], source: str
    ) -> T: ...


class Lookup:
    """One lookup in the histories of one instrument."""

    def __init__(self, ask: Ask, instrument: Instrument, source: str) -> None:
        self._ask = ask
        self._instrument = instrument
        self._source = source
        self._parents: dict[str, wire.AlgoOrderRow] = {}
        self._unread_before_ms = sys.maxsize

    async def of(self, order_ids: Sequence[str]) -> OrderLookup:
        """Records of the ids that exist, in the order asked; then those of what asked conditional orders became."""
        asked = tuple(dict.fromkeys(order_ids))
        known = await self._listed(asked) if len(asked) >= _BY_LIST_FROM else {}
        records: dict[str, OrderRecord] = {}
        for order_id in asked:
            record = known.get(order_id) or await self._regular(order_id) or await self._conditional(order_id)
            if record is not None:
                records[order_id] = record
        for child_id in tuple(self._parents):
            child = records.get(child_id) or await self._regular(child_id)
            if child is not None:
                records[child_id] = child
        # Newest first, so that the conditional history is read backwards once for all of them.
        for record in sorted(records.values(), key=lambda record: -(record.at_ms or 0)):
            records[record.order_id] = await self._with_parent(record)
        return OrderLookup(symbol=self._instrument.symbol, asked=asked, records=tuple(records.values()))

    async def _listed(self, asked: Sequence[str]) -> dict[str, OrderRecord]:
        """The first page of `allOrders` from the smallest id on; what it lacks is asked for one by one."""
        numbers = [int(order_id) for order_id in asked if order_id.isdigit()]
        if not numbers:
            return {}
        params: dict[str, str | int] = {
            "symbol": self._instrument.venue_symbol,
            "orderId": min(numbers),
            "limit": _PAGE,
        }
        rows = await self._ask("fapiPrivateGetAllOrders", params, wire.ORDERS, self._source)
        records = [self._record(row) for row in rows if row.symbol == self._instrument.venue_symbol]
        return {record.order_id: record for record in records if record.order_id in asked}

    async def _regular(self, order_id: str) -> OrderRecord | None:
        params = {"symbol": self._instrument.venue_symbol, "orderId": order_id}
        try:
            return self._record(await self._ask("fapiPrivateGetOrder", params, wire.ORDER, self._source))
        except Refused as refused:
            if refused.code in DOES_NOT_EXIST:
                return None
            raise

    async def _conditional(self, order_id: str) -> OrderRecord | None:
        row = await self._algo_order({"algoId": order_id})
        if row is None:
            return None
        child_id = child_id_of(row)
        if child_id is not None:
            self._parents[child_id] = row
        return exact(self._source, algo_record, row, self._instrument.symbol)

    async def _algo_order(self, by: Mapping[str, str | int]) -> wire.AlgoOrderRow | None:
        try:
            row = await self._ask("fapiPrivateGetAlgoOrder", by, wire.ALGO_ORDER, self._source)
        except Refused as refused:
            if refused.code in DOES_NOT_EXIST:
                return None
            raise
        return row if row.symbol == self._instrument.venue_symbol else None

    def _record(self, row: wire.OrderRow) -> OrderRecord:
        return exact(self._source, order_record, row, self._instrument.symbol)

    async def _with_parent(self, record: OrderRecord) -> OrderRecord:
        plain = record.created_by == "user" and record.kind in (OrderKind.MARKET, OrderKind.LIMIT)
        row = await self._parent_of(record) if plain else None
        if row is None:
            return record
        return fold_parent(record, exact(self._source, algo_record, row, self._instrument.symbol))

    async def _parent_of(self, child: OrderRecord) -> wire.AlgoOrderRow | None:
        """By client id, then backwards through the conditional history from the child's time until it turns up."""
        await self._parent_by_client_id(child)
        if child.order_id in self._parents or child.at_ms is None:
            return self._parents.get(child.order_id)
        newest_ms = child.at_ms + _AFTER_MS
        oldest_ms = newest_ms - _SEARCHED_WINDOWS * WINDOW_MS
        end_ms = min(newest_ms, self._unread_before_ms)
        while child.order_id not in self._parents and end_ms > oldest_ms:
            start_ms = max(oldest_ms, end_ms - WINDOW_MS + 1)
            await self._read_parents(start_ms, end_ms)
            end_ms = self._unread_before_ms = start_ms - 1
        return self._parents.get(child.order_id)

    async def _parent_by_client_id(self, child: OrderRecord) -> None:
        if child.order_id in self._parents or child.client_order_id is None:
            return
        row = await self._algo_order({"clientAlgoId": child.client_order_id})
        child_id = None if row is None else child_id_of(row)
        if row is not None and child_id is not None:
            self._parents[child_id] = row

    async def _read_parents(self, start_ms: int, end_ms: int) -> None:
        while True:
            params: dict[str, str | int] = {
                "symbol": self._instrument.venue_symbol,
                "startTime": start_ms,
                "endTime": end_ms,
                "limit": _PAGE,
            }
            page = await self._ask("fapiPrivateGetAllAlgoOrders", params, wire.ALGO_ORDERS, self._source)
            for row in page:
                child_id = child_id_of(row)
                if child_id is not None and row.symbol == self._instrument.venue_symbol:
                    self._parents[child_id] = row
            if len(page) < _PAGE:
                return
            last_ms = max(exact(self._source, whole, row.create_time, "createTime of an algo order") for row in page)
            if last_ms <= start_ms:
                raise Unobserved(self._source, f"a full page of conditional orders at {last_ms}")
            start_ms = last_ms
