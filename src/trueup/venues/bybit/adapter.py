"""One Bybit v5 unified account, read exactly; stops, closes and cancels.

1. A look at the account is complete or it is an error: every settle coin of the linear contracts, the inverse ones, and
   all pages of each.
2. Conditional orders are read before regular ones: an order that triggers in between is then seen twice, under one id,
   instead of not at all.
3. `as_of_ms` is taken before the first request of a look.
4. A stop that sits on a position is cancelled only if it is still the one that is meant, at the price that is named.

See docs/venues.md for limits, reach and quirks of each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from trueup.model.decimals import decimal_text, optional_decimal
from trueup.model.effects import CancelOrder
from trueup.model.errors import Rejected, SlotsMissing, UnknownOrder, Unobserved, Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import (
    AccountFacts,
    ClosedPnlHistory,
    FillHistory,
    FundingHistory,
    Identity,
    OrderLookup,
    OrdersSnapshot,
    PositionReport,
    PositionsSnapshot,
    Quarantined,
    SecondSurface,
)
from trueup.model.orders import ClosedPnl, Fill, Funding, OpenOrder, OrderKind, OrderList, OrderRecord
from trueup.model.protection import StopOrder
from trueup.model.trailing import TrailingOrder
from trueup.venues.base import VenueBase
from trueup.venues.bybit import rows as wire
from trueup.venues.bybit.history import FUNDING, REACH_MS, closed_pnl_of, fill_of, funding_of, moves_quantity
from trueup.venues.bybit.instruments import INVERSE, LINEAR, instrument_of
from trueup.venues.bybit.orders import ReadOrder, merged, open_order, order_record
from trueup.venues.bybit.positions import PositionReader, attached_id, attached_orders, leg_of, read_positions
from trueup.venues.bybit.stops import refusal_of, stop_params
from trueup.venues.bybit.trailing import trailing_params
from trueup.venues.paging import all_pages, together, windows
from trueup.venues.wire import Reader, exact, flag, whole

if TYPE_CHECKING:
    from trueup.venues.client import Client
    from trueup.venues.markets import Markets

__all__ = ["BybitVenue"]

T = TypeVar("T")
Params = Mapping[str, str | int]

_POSITIONS_PAGE, _ORDERS_PAGE, _HISTORY_PAGE, _MARKETS_PAGE = 200, 50, 100, 1000
_ALWAYS_COVERED = ("USDT", "USDC")
_CLASSIC = (1, 2)  # unifiedMarginStatus: classic, and the early unified margin account


class _Scope(msgspec.Struct, frozen=True):
    """One list that the venue gives by itself: a category and settle coin, or one symbol of it."""

    category: str
    settle: str | None = None
    venue_symbol: str | None = None

    def params(self) -> dict[str, str | int]:
        params: dict[str, str | int] = {"category": self.category}
        if self.venue_symbol is not None:
            params["symbol"] = self.venue_symbol
        elif self.settle is not None:
            params["settleCoin"] = self.settle
        return params

    def __str__(self) -> str:
        return f"{self.category}:{self.settle}" if self.settle else self.category


class BybitVenue(VenueBase):
    """Implements `trueup.ports.Venue`."""

    venue = "bybit"

    def __init__(self, account: str, client: Client, markets: Markets) -> None:
        super().__init__(account, client, markets)
        self._readers: dict[_Scope, PositionReader] = {}

    def _reader(self, scope: _Scope) -> PositionReader:
        """What reads that list; a single symbol's answer is read by itself."""
        return PositionReader() if scope.venue_symbol is not None else self._readers.setdefault(scope, PositionReader())

    async def _read_time(self) -> int:
        source = "bybit time"
        row = (await self._ask("publicGetV5MarketTime", {}, wire.TIME, source)).result
        return exact(source, whole, row.time_nano, "timeNano") // 1_000_000

    async def _read_instruments(self) -> list[Instrument]:
        """What trades, and linear contracts before their launch, in which positions are possible too."""
        lists: tuple[tuple[str, Params], ...] = (
            (LINEAR, {"category": LINEAR}),
            (LINEAR, {"category": LINEAR, "status": "PreLaunch"}),
            (INVERSE, {"category": INVERSE}),
        )
        found: dict[tuple[str, str], Instrument] = {}
        for category, about in lists:
            source = f"bybit instruments-info {' '.join(str(value) for value in about.values())}"
            params = {**about, "limit": _MARKETS_PAGE}
            for row in await self._list("publicGetV5MarketInstrumentsInfo", params, wire.INSTRUMENTS, source):
                instrument = exact(source, instrument_of, row, category, self.client.currency, self.venue)
                if instrument is not None:
                    found[category, row.symbol] = instrument
        return list(found.values())

    async def _list(self, endpoint: str, params: Params, reader: Reader[wire.ListAnswer[T]], source: str) -> list[T]:
        """Every row of a list, all pages."""

        async def read(cursor: str | None, page_source: str) -> tuple[list[T], str | None]:
            asked = params if cursor is None else {**params, "cursor": cursor}
            page = (await self._ask(endpoint, asked, reader, page_source)).result
            if page.category not in (None, "", params.get("category", page.category)):
                raise Unobserved(page_source, f"asked for {params['category']}, answered for {page.category}")
            return page.rows, page.next_page_cursor

        return await all_pages(read, source)

    def _scopes(self, catalog: InstrumentCatalog, instrument: Instrument | None) -> list[_Scope]:
        if instrument is not None:
            return [_Scope(instrument.category, instrument.settle, instrument.venue_symbol)]
        settles = dict.fromkeys((*_ALWAYS_COVERED, *catalog.settles(LINEAR)))
        return [*(_Scope(LINEAR, settle) for settle in settles), _Scope(INVERSE)]

    async def positions(self, symbol: str | None = None) -> PositionsSnapshot:
        source = "bybit positions" + (f" {symbol}" if symbol else "")
        instrument = await self._instrument(symbol, source) if symbol else None
        scopes = self._scopes(await self.catalog(), instrument)
        as_of_ms = await self._began()
        lists = await together(*(self._position_rows(scope, source) for scope in scopes))
        received_at_ms = self._time.began_ms()
        reports, quarantined, stale = await self._reports(scopes, lists, source)
        return PositionsSnapshot(
            account=self.account,
            as_of_ms=as_of_ms,
            received_at_ms=received_at_ms,
            reports=tuple(reports),
            covered=tuple(str(scope) for scope in scopes),
            symbol=symbol,
            quarantined=tuple(quarantined),
            stale_rows=stale,
        )

    async def _position_rows(self, scope: _Scope, source: str) -> list[wire.PositionRow]:
        params = {**scope.params(), "limit": _POSITIONS_PAGE}
        rows = await self._list("privateGetV5PositionList", params, wire.POSITIONS, f"{source} {scope}")
        if scope.venue_symbol is None:
            return rows
        rows = [row for row in rows if row.symbol == scope.venue_symbol]
        slots = {str(row.position_idx) for row in rows}
        if not ("0" in slots or {"1", "2"} <= slots):
            found = f"found slots {sorted(slots)}" if slots else "found none"
            raise SlotsMissing(
                f"{source} {scope}", f"by symbol every slot is listed, flat ones too (0, or 1 and 2): {found}"
            )
        return rows

    async def _reports(
        self, scopes: Sequence[_Scope], lists: Sequence[list[wire.PositionRow]], source: str
    ) -> tuple[list[PositionReport], list[Quarantined], int]:
        catalog = await self.catalog()
        for attempt in (1, 2):
            found = [
                self._reader(scope).read(rows, scope.category, catalog, f"{source} {scope}")
                for scope, rows in zip(scopes, lists, strict=True)
            ]
            if attempt == 2 or not any(one.unlisted for one in found):
                break
            catalog = await self._fresh_catalog()
        return (
            [report for one in found for report in one.reports],
            [row for one in found for row in one.quarantined],
            sum(one.stale for one in found),
        )

    async def open_orders(self, symbol: str | None = None) -> OrdersSnapshot:
        source = "bybit open orders" + (f" {symbol}" if symbol else "")
        instrument = await self._instrument(symbol, source) if symbol else None
        scopes = self._scopes(await self.catalog(), instrument)
        as_of_ms = await self._began()
        order_lists = await together(*(self._order_rows(scope, source) for scope in scopes))
        position_lists = await together(*(self._position_rows(scope, f"{source} (attached)") for scope in scopes))
        received_at_ms = self._time.began_ms()
        reports, quarantined, _ = await self._reports(scopes, position_lists, f"{source} (attached)")
        catalog = await self.catalog()
        if any(
            catalog.by_venue_symbol(scope.category, row.symbol) is None
            for scope, rows in zip(scopes, order_lists, strict=True)
            for row in rows
        ):
            catalog = await self._fresh_catalog()
        read: list[ReadOrder] = []
        for scope, rows in zip(scopes, order_lists, strict=True):
            read += _read_orders(rows, scope.category, catalog, quarantined)
        return OrdersSnapshot(
            account=self.account,
            as_of_ms=as_of_ms,
            received_at_ms=received_at_ms,
            orders=tuple(merged(read, _attached(reports, catalog))),
            symbol=symbol,
            quarantined=tuple(quarantined),
        )

    async def _order_rows(self, scope: _Scope, source: str) -> list[wire.OrderRow]:
        """Both filters, conditional first; of two states of one order the later counts."""
        rows: dict[str, wire.OrderRow] = {}
        for order_filter in ("StopOrder", "Order"):
            params = {**scope.params(), "orderFilter": order_filter, "limit": _ORDERS_PAGE}
            where = f"{source} {scope} {order_filter}"
            for row in await self._list("privateGetV5OrderRealtime", params, wire.ORDERS, where):
                if scope.venue_symbol in (None, row.symbol):
                    rows[row.order_id] = row
        return list(rows.values())

    async def fills(self, symbol: str, since_ms: int, before_ms: int | None = None) -> FillHistory:
        source = f"bybit executions {symbol}"
        instrument = await self._instrument(symbol, source)
        rows, start_ms, until_ms = await self._history(
            "privateGetV5ExecutionList", {}, wire.EXECUTIONS, instrument, since_ms, source, before_ms
        )
        fills: dict[str, Fill] = {}
        for row in reversed(rows):  # the venue lists the newest first: the oldest of one instant comes first here
            if row.symbol == instrument.venue_symbol and exact(source, moves_quantity, row):
                fills.setdefault(row.exec_id, exact(source, fill_of, row, instrument))
        return FillHistory(
            symbol=symbol,
            since_ms=start_ms,
            until_ms=until_ms,
            fills=tuple(sorted(fills.values(), key=lambda fill: (fill.at_ms, fill.sequence or 0))),
            reach_ms=self._time.began_ms() - REACH_MS,
        )

    async def funding(self, symbol: str, since_ms: int) -> FundingHistory:
        source = f"bybit funding {symbol}"
        instrument = await self._instrument(symbol, source)
        rows, start_ms, until_ms = await self._history(
            "privateGetV5ExecutionList", {"execType": FUNDING}, wire.EXECUTIONS, instrument, since_ms, source
        )
        payments: dict[str, Funding] = {}
        for row in rows:
            if row.symbol == instrument.venue_symbol and row.exec_type == FUNDING:
                payments[row.exec_id] = exact(source, funding_of, row, instrument)
        return FundingHistory(
            symbol=symbol,
            since_ms=start_ms,
            until_ms=until_ms,
            payments=tuple(sorted(payments.values(), key=lambda payment: (payment.at_ms, payment.payment_id))),
        )

    async def closed_pnl(self, symbol: str, since_ms: int) -> ClosedPnlHistory | None:
        source = f"bybit closed PnL {symbol}"
        instrument = await self._instrument(symbol, source)
        rows, start_ms, until_ms = await self._history(
            "privateGetV5PositionClosedPnl", {}, wire.CLOSED_PNL, instrument, since_ms, source
        )
        records: dict[str, ClosedPnl] = {}
        for row in reversed(rows):
            if row.symbol == instrument.venue_symbol:
                record = exact(source, closed_pnl_of, row, instrument)
                held = records.get(record.order_id)
                if held is None or record.at_ms >= held.at_ms:
                    records[record.order_id] = record
        return ClosedPnlHistory(
            symbol=symbol,
            since_ms=start_ms,
            until_ms=until_ms,
            records=tuple(sorted(records.values(), key=lambda record: record.at_ms)),
        )

    async def _history(
        self,
        endpoint: str,
        about: Params,
        reader: Reader[wire.ListAnswer[T]],
        instrument: Instrument,
        since_ms: int,
        source: str,
        before_ms: int | None = None,
    ) -> tuple[list[T], int, int]:
        """All rows of all windows, newest first; when they begin; and the venue time that they speak for."""
        until_ms = await self._began()
        start_ms = max(since_ms, until_ms - REACH_MS)
        params: dict[str, str | int] = {
            "category": instrument.category,
            "symbol": instrument.venue_symbol,
            "limit": _HISTORY_PAGE,
            **about,
        }
        latest_ms = self._time.latest_ms() if before_ms is None else before_ms - 1
        rows: list[T] = []
        for window_start, window_end in windows(start_ms, latest_ms):
            until_ms = self._time.began_ms() if before_ms is None else before_ms
            window = {**params, "startTime": window_start, "endTime": window_end}
            rows = [*await self._list(endpoint, window, reader, source), *rows]
        return rows, start_ms, until_ms

    async def lookup_orders(self, symbol: str, order_ids: Sequence[str]) -> OrderLookup:
        """By id in the live list, which knows what ended a moment ago, then in the history."""
        source = f"bybit orders {symbol}"
        instrument = await self._instrument(symbol, source)
        await self._began()
        asked = tuple(dict.fromkeys(order_ids))
        found = [record for order_id in asked if (record := await self._record(instrument, order_id, source))]
        return OrderLookup(symbol=symbol, asked=asked, records=tuple(found))

    async def _record(self, instrument: Instrument, order_id: str, source: str) -> OrderRecord | None:
        params = {"category": instrument.category, "symbol": instrument.venue_symbol, "orderId": order_id}
        for endpoint in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            answer = await self._ask(endpoint, params, wire.ORDERS, f"{source} {order_id}")
            for row in answer.result.rows:
                if row.order_id == order_id and row.symbol == instrument.venue_symbol:
                    return exact(source, order_record, row, instrument.symbol)
        return None

    async def identity(self) -> Identity:
        source = "bybit query-api"
        await self._began()
        key = (await self._ask("privateGetV5UserQueryApi", {}, wire.KEY, source)).result
        return Identity(fingerprint=str(exact(source, whole, key.user_id, "userID")), strength="user_id")

    async def facts(self) -> AccountFacts:
        await self._began()
        key = (await self._ask("privateGetV5UserQueryApi", {}, wire.KEY, "bybit query-api")).result
        info = (await self._ask("privateGetV5AccountInfo", {}, wire.ACCOUNT_INFO, "bybit account info")).result
        read_only = exact("bybit query-api", flag, key.read_only, "readOnly")
        rights = key.permissions
        contracts = {*rights.get("ContractTrade", ()), *rights.get("Derivatives", ())}
        classic = info.unified_margin_status in _CLASSIC
        tightest = self.client.limits.left()
        return AccountFacts(
            hedge_mode=await self._hedge_mode(),
            can_trade=not read_only and bool(contracts & {"Order", "DerivativesTrade"}),
            can_withdraw=not read_only and "Withdraw" in rights.get("Wallet", ()),
            read_only=read_only,
            portfolio_margin=None if info.margin_mode is None else info.margin_mode == "PORTFOLIO_MARGIN",
            weight_used=None if tightest is None else tightest[1] - tightest[0],
            weight_limit=None if tightest is None else tightest[1],
            weight_of="requests of a second, on the endpoint with least room",
            notes=("the position mode is that of BTCUSDT: Bybit keeps one per coin or symbol",),
            warnings=("a classic account: only unified trading accounts are supported",) if classic else (),
        )

    async def _hedge_mode(self) -> bool | None:
        """A symbol's rows are listed even while it is flat, one with index 0 or one for each leg."""
        source = "bybit position mode"
        params = {"category": LINEAR, "symbol": "BTCUSDT"}
        rows = (await self._ask("privateGetV5PositionList", params, wire.POSITIONS, source)).result.rows
        legs = [exact(source, leg_of, row.position_idx, "positionIdx") for row in rows]
        return None if not legs else any(leg is not None for leg in legs)

    async def second_surface(self) -> SecondSurface:
        """The wallet's margin says whether *some* position is open; it does not say which."""
        source = "bybit wallet (second surface)"
        as_of_ms = await self._began()
        params = {"accountType": "UNIFIED"}
        wallets = (await self._ask("privateGetV5AccountWalletBalance", params, wire.WALLET, source)).result.rows
        margins = [
            exact(source, optional_decimal, coin.total_position_im, f"totalPositionIM of {coin.coin}")
            for wallet in wallets
            for coin in wallet.coin
        ]
        margin: bool | None = None
        if any(amount is not None and amount > 0 for amount in margins):
            margin = True
        elif margins and all(amount is not None for amount in margins):
            margin = False
        return SecondSurface(account=self.account, as_of_ms=as_of_ms, any_position_margin=margin)

    async def cancel(self, order: CancelOrder) -> None:
        source = f"bybit cancel {order.order_list.value} order {order.order_id} of {order.symbol}"
        instrument = await self._instrument(order.symbol, source)
        await self._began()
        if order.order_list is OrderList.ATTACHED:
            await self._remove_attached(order, instrument, source)
            return
        params: dict[str, str | int] = {
            "category": instrument.category,
            "symbol": instrument.venue_symbol,
            "orderId": order.order_id,
            "orderFilter": "StopOrder" if order.order_list is OrderList.CONDITIONAL else "Order",
        }
        await self.client.act("privatePostV5OrderCancel", params, source=source)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """By link id in the live list, which knows what ended a moment ago, then in the history."""
        source = f"bybit order {client_order_id} of {symbol}"
        instrument = await self._instrument(symbol, source)
        await self._began()
        params = {"category": instrument.category, "symbol": instrument.venue_symbol, "orderLinkId": client_order_id}
        for endpoint in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            for row in (await self._ask(endpoint, params, wire.ORDERS, source)).result.rows:
                if row.order_link_id == client_order_id and row.symbol == instrument.venue_symbol:
                    return exact(source, order_record, row, instrument.symbol)
        return None

    async def find_stop(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """Conditional orders are known under the same ids and in the same lists as regular ones."""
        return await self.find_order(symbol, client_order_id)

    async def place_stop(self, report: PositionReport, stop: StopOrder) -> None:
        """`POST /v5/order/create` with a trigger."""
        source = f"bybit stop of {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        try:
            await self.client.act("privatePostV5OrderCreate", stop_params(stop, report, instrument), source=source)
        except Rejected as refused:
            raise await self._stop_refused(refusal_of(refused)) from None

    async def close_market(self, report: PositionReport, client_order_id: str) -> None:
        """`POST /v5/order/create`, market, reduce-only, on the position's own index."""
        source = f"bybit close {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        params: dict[str, str | int | bool] = {
            "category": instrument.category,
            "symbol": instrument.venue_symbol,
            "side": report.side.exit_side.value.capitalize(),
            "orderType": "Market",
            "qty": decimal_text(report.quantity),
            "reduceOnly": True,
            "positionIdx": report.position_index or 0,
            "orderLinkId": client_order_id,
        }
        await self.client.act("privatePostV5OrderCreate", params, source=source)

    async def trailing_id(self, report: PositionReport) -> str | None:
        """It sits on the position, and bears no client id."""
        instrument = await self._instrument(
            report.symbol, f"bybit trailing stop of {report.side.value} {report.symbol}"
        )
        return attached_id(instrument, report.position_index or 0, OrderKind.TRAILING_STOP)

    async def place_trailing(self, report: PositionReport, order: TrailingOrder, trigger_by: str) -> None:
        """`POST /v5/position/trading-stop`: it sits on the position and follows the last price."""
        source = f"bybit trailing stop of {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        params = trailing_params(order, report, instrument)
        await self.client.act("privatePostV5PositionTradingStop", params, source=source)

    async def _remove_attached(self, order: CancelOrder, instrument: Instrument, source: str) -> None:
        """Takes a stop off its position, if that position is open and still bears just this one."""
        field = {
            OrderKind.STOP: "stopLoss",
            OrderKind.TAKE_PROFIT: "takeProfit",
            OrderKind.TRAILING_STOP: "trailingStop",
        }.get(order.kind)
        if field is None:
            raise Rejected(source, "unsupported", f"no {order.kind.value} sits on a position")
        rows = await self._position_rows(
            _Scope(instrument.category, instrument.settle, instrument.venue_symbol), source
        )
        reports = read_positions(rows, instrument.category, await self.catalog(), source).reports
        report = next((one for one in reports if one.side is order.side), None)
        if report is None:
            raise UnknownOrder(source, "flat", f"no open {order.side.value} position that it could sit on")
        stops = {stop.kind: stop for stop in attached_orders(report, instrument)}
        stop = stops.get(order.kind)
        if stop is None:
            raise UnknownOrder(source, "none", f"the position has no {field}")
        if order.trigger_price is not None and stop.trigger_price not in (None, order.trigger_price):
            found = f"the position's {field} is at {stop.trigger_price}, not at {order.trigger_price}"
            raise UnknownOrder(source, "another", found)
        params: dict[str, str | int] = {
            "category": instrument.category,
            "symbol": instrument.venue_symbol,
            "tpslMode": "Full",
            "positionIdx": report.position_index or 0,
            field: "0",
        }
        try:
            await self.client.act("privatePostV5PositionTradingStop", params, source=source)
        except Rejected as refused:
            if refused.code == "34040" or (refused.code == "10001" and "zero position" in refused.text):
                raise UnknownOrder(source, refused.code, refused.text) from None
            raise


def _read_orders(
    rows: Iterable[wire.OrderRow], category: str, catalog: InstrumentCatalog, quarantined: list[Quarantined]
) -> list[ReadOrder]:
    """The readable rows as orders; the others go to `quarantined`."""
    orders = []
    for row in rows:
        instrument = catalog.by_venue_symbol(category, row.symbol)
        if instrument is None:
            problem = f"an open order of {row.symbol}, which is not in the venue's {category} market list"
            quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
            continue
        try:
            orders.append(open_order(row, instrument.symbol))
        except Unreadable as error:
            quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
    return orders


def _attached(
    reports: Iterable[PositionReport], catalog: InstrumentCatalog
) -> list[tuple[tuple[str, int, OrderKind], OpenOrder]]:
    found = []
    for report in reports:
        instrument = catalog.get(report.symbol)
        if instrument is not None:
            for stop in attached_orders(report, instrument):
                found.append(((report.symbol, report.position_index or 0, stop.kind), stop))
    return found
