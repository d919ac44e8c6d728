"""One Binance USDⓈ-M account, read exactly; stops, closes and cancels.

1. Conditional orders are read before regular ones: an order that triggers in between is then seen as the order that it
   became instead of not at all.
2. `as_of_ms` is taken before the first request of a look.
3. What an answer leaves open is an error (`Unobserved`) or quarantined; it is never read as less.

See docs/venues.md for weights, reach and quirks of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from trueup.model.decimals import decimal_text, optional_decimal, positive_or_none
from trueup.model.effects import CancelOrder
from trueup.model.errors import Rejected, Unobserved, Unreadable
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
from trueup.model.orders import Fill, Funding, OpenOrder, OrderList, OrderRecord
from trueup.model.protection import StopOrder
from trueup.model.trailing import TrailingOrder
from trueup.venues.base import VenueBase
from trueup.venues.binance import rows as wire
from trueup.venues.binance.history import FILLS_REACH_MS, FUNDING_REACH_MS, fill_of, funding_of
from trueup.venues.binance.instruments import CATEGORY, instrument_of
from trueup.venues.binance.lookup import DOES_NOT_EXIST, Lookup
from trueup.venues.binance.orders import algo_open_order, algo_record, open_order, order_record
from trueup.venues.binance.positions import PositionReader, open_keys
from trueup.venues.binance.stops import refusal_of, stop_params
from trueup.venues.binance.trailing import trailing_params
from trueup.venues.faults import Refused
from trueup.venues.paging import windows
from trueup.venues.wire import exact, flag, whole

if TYPE_CHECKING:
    from trueup.venues.client import Client
    from trueup.venues.markets import Markets

__all__ = ["BinanceVenue"]

_PAGE = 1000
_LEVERAGE_AGE_S = 600.0

R = TypeVar("R", wire.OrderRow, wire.AlgoOrderRow)


class BinanceVenue(VenueBase):
    """Implements `trueup.ports.Venue`."""

    venue = "binanceusdm"

    def __init__(self, account: str, client: Client, markets: Markets) -> None:
        super().__init__(account, client, markets)
        self._reader = PositionReader()
        self._leverages: Mapping[str, Decimal] = {}
        self._leverages_read_s = float("-inf")

    async def _read_time(self) -> int:
        source = "binance time"
        row = await self._ask("fapiPublicGetTime", {}, wire.TIME, source)
        return exact(source, whole, row.server_time, "serverTime")

    async def _read_instruments(self) -> list[Instrument]:
        source = "binance exchangeInfo"
        info = await self._ask("fapiPublicGetExchangeInfo", {}, wire.EXCHANGE_INFO, source)
        for limit in info.rate_limits:
            if (limit.rate_limit_type, limit.interval, limit.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self.client.budget.set_limit(limit.limit)
        found = [exact(source, instrument_of, row, self.client.currency, self.venue) for row in info.symbols]
        return [instrument for instrument in found if instrument is not None]

    async def positions(self, symbol: str | None = None) -> PositionsSnapshot:
        source = "binance positions" + (f" {symbol}" if symbol else "")
        catalog = await self.catalog()
        instrument = await self._instrument(symbol, source) if symbol else None
        as_of_ms = await self._began()
        answer = await self._ask("fapiPrivateV3GetPositionRisk", _about(instrument), wire.POSITIONS, source)
        received_at_ms = self._time.began_ms()
        rows = answer if instrument is None else [row for row in answer if row.symbol == instrument.venue_symbol]
        reader = self._reader if instrument is None else PositionReader()
        if instrument is None:
            await self._ask_leverages(rows)
        leverages = self._leverages if instrument is None else {}
        found = reader.read(rows, catalog, source, leverages)
        if found.unlisted:
            catalog = await self._fresh_catalog()
            found = reader.read(rows, catalog, source, leverages)
        return PositionsSnapshot(
            account=self.account,
            as_of_ms=as_of_ms,
            received_at_ms=received_at_ms,
            reports=tuple(found.reports),
            covered=(CATEGORY,),
            symbol=symbol,
            quarantined=tuple(found.quarantined),
            stale_rows=found.stale,
        )

    async def _ask_leverages(self, rows: Iterable[wire.PositionRow]) -> None:
        """Asks for the leverages, which v3 rows lack, where what is known is ten minutes old; without them they are None."""
        if self.client.clock.monotonic_s() - self._leverages_read_s <= _LEVERAGE_AGE_S:
            return
        if all(row.leverage is not None for row in rows):
            return
        self._leverages_read_s = self.client.clock.monotonic_s()
        try:
            self._leverages = await self.leverages()
        except Unobserved:
            # A comfort, not evidence: the positions were seen whole without it. Asked again in ten minutes.
            self._leverages = {}

    async def leverages(self) -> dict[str, Decimal]:
        """Unified symbol → the leverage set for it."""
        source = "binance symbolConfig"
        catalog = await self.catalog()
        found: dict[str, Decimal] = {}
        for row in await self._ask("fapiPrivateGetSymbolConfig", {}, wire.SYMBOL_CONFIG, source):
            instrument = catalog.by_venue_symbol(CATEGORY, row.symbol)
            leverage = exact(source, positive_or_none, row.leverage, f"leverage of {row.symbol}")
            if instrument is not None and leverage is not None:
                found[instrument.symbol] = leverage
        return found

    async def open_orders(self, symbol: str | None = None) -> OrdersSnapshot:
        source = "binance open orders" + (f" {symbol}" if symbol else "")
        catalog = await self.catalog()
        instrument = await self._instrument(symbol, source) if symbol else None
        as_of_ms = await self._began()
        about = _about(instrument)
        conditional = await self._ask(
            "fapiPrivateGetOpenAlgoOrders", about, wire.ALGO_ORDERS, f"{source} (conditional)"
        )
        regular = await self._ask("fapiPrivateGetOpenOrders", about, wire.ORDERS, f"{source} (regular)")
        received_at_ms = self._time.began_ms()
        named = {row.symbol for row in conditional} | {row.symbol for row in regular}
        if any(catalog.by_venue_symbol(CATEGORY, name) is None for name in named):
            catalog = await self._fresh_catalog()
        quarantined: list[Quarantined] = []
        orders = _collected(conditional, algo_open_order, catalog, quarantined)
        orders += _collected(regular, open_order, catalog, quarantined)
        return OrdersSnapshot(
            account=self.account,
            as_of_ms=as_of_ms,
            received_at_ms=received_at_ms,
            orders=tuple(orders),
            symbol=symbol,
            quarantined=tuple(quarantined),
        )

    async def fills(self, symbol: str, since_ms: int, before_ms: int | None = None) -> FillHistory:
        source = f"binance trades {symbol}"
        instrument = await self._instrument(symbol, source)
        until_ms = await self._began()
        reach_ms = until_ms - FILLS_REACH_MS
        start_ms = max(since_ms, reach_ms)
        latest_ms = self._time.latest_ms() if before_ms is None else before_ms - 1
        fills: dict[tuple[str, str], Fill] = {}  # a trade with oneself is two of them, under one trade id
        for window_start, window_end in windows(start_ms, latest_ms):
            until_ms = self._time.began_ms() if before_ms is None else before_ms
            for row in await self._trades_of(instrument, window_start, window_end, source):
                fill = exact(source, fill_of, row, symbol)
                fills[fill.trade_id, fill.order_id] = fill
        return FillHistory(
            symbol=symbol,
            since_ms=start_ms,
            until_ms=until_ms,
            fills=tuple(sorted(fills.values(), key=lambda fill: (fill.at_ms, fill.sequence or 0))),
            reach_ms=reach_ms,
        )

    async def _trades_of(self, instrument: Instrument, start_ms: int, end_ms: int, source: str) -> list[wire.TradeRow]:
        """All trades of one window. A full page is continued from its last trade id, which the venue does not mix with times."""
        about: dict[str, str | int] = {"symbol": instrument.venue_symbol, "limit": _PAGE}
        params: dict[str, str | int] = {**about, "startTime": start_ms, "endTime": end_ms}
        rows: list[wire.TradeRow] = []
        next_id = -1
        while True:
            page = await self._ask("fapiPrivateGetUserTrades", params, wire.TRADES, source)
            rows.extend(row for row in page if row.symbol == instrument.venue_symbol)
            last_ms = max((exact(source, whole, row.time, "time of a trade") for row in page), default=end_ms)
            if len(page) < _PAGE or last_ms > end_ms:
                return rows
            last_id = max(exact(source, whole, row.id, "id of a trade") for row in page)
            if last_id <= next_id:
                raise Unobserved(source, f"trades from id {next_id} on do not advance")
            next_id = last_id
            params = {**about, "fromId": next_id}

    async def funding(self, symbol: str, since_ms: int) -> FundingHistory:
        source = f"binance funding {symbol}"
        instrument = await self._instrument(symbol, source)
        until_ms = await self._began()
        start_ms = max(since_ms, until_ms - FUNDING_REACH_MS)
        payments: dict[tuple[str, int], Funding] = {}
        for window_start, window_end in windows(start_ms, self._time.latest_ms()):
            until_ms = self._time.began_ms()
            for row in await self._funding_rows(instrument, window_start, window_end, source):
                payment = exact(source, funding_of, row, symbol)
                payments[payment.payment_id, payment.at_ms] = payment
        return FundingHistory(
            symbol=symbol,
            since_ms=start_ms,
            until_ms=until_ms,
            payments=tuple(sorted(payments.values(), key=lambda payment: (payment.at_ms, int(payment.payment_id)))),
        )

    async def _funding_rows(
        self, instrument: Instrument, start_ms: int, end_ms: int, source: str
    ) -> list[wire.IncomeRow]:
        """All payments of one window. A full page is continued from its last instant: several may share it."""
        about: dict[str, str | int] = {"symbol": instrument.venue_symbol, "incomeType": "FUNDING_FEE", "limit": _PAGE}
        rows: list[wire.IncomeRow] = []
        while True:
            params = {**about, "startTime": start_ms, "endTime": end_ms}
            page = await self._ask("fapiPrivateGetIncome", params, wire.INCOME, source)
            rows.extend(
                row for row in page if row.income_type == "FUNDING_FEE" and row.symbol == instrument.venue_symbol
            )
            if len(page) < _PAGE:
                return rows
            last_ms = max(exact(source, whole, row.time, "time of an income") for row in page)
            if last_ms <= start_ms:
                raise Unobserved(source, f"a full page of payments at {last_ms}: the rest cannot be asked for")
            start_ms = last_ms

    async def closed_pnl(self, symbol: str, since_ms: int) -> ClosedPnlHistory | None:
        """Binance keeps no record of closed positions."""
        return None

    async def lookup_orders(self, symbol: str, order_ids: Sequence[str]) -> OrderLookup:
        source = f"binance orders {symbol}"
        instrument = await self._instrument(symbol, source)
        await self._began()
        return await Lookup(self._ask, instrument, source).of(order_ids)

    async def identity(self) -> Identity:
        """The account's alias. v3 may list no coin at all for an account that never held one; v2 lists every coin."""
        source = "binance balance"
        await self._began()
        for endpoint in ("fapiPrivateV3GetBalance", "fapiPrivateV2GetBalance"):
            rows = await self._ask(endpoint, {}, wire.BALANCES, source)
            aliases = {row.account_alias for row in rows if row.account_alias}
            if len(aliases) == 1:
                return Identity(fingerprint=aliases.pop(), strength="alias")
            if aliases:
                raise Unobserved(source, f"{len(aliases)} account aliases in one answer")
        raise Unobserved(source, "no row names the account's alias, so the account cannot be told")

    async def facts(self) -> AccountFacts:
        source = "binance account"
        await self.catalog()
        await self._began()
        account = await self._ask("fapiPrivateV2GetAccount", {}, wire.ACCOUNT, source)
        mode = await self._ask("fapiPrivateGetPositionSideDual", {}, wire.MODE, "binance position mode")
        return AccountFacts(
            hedge_mode=exact(source, flag, mode.dual_side_position, "dualSidePosition"),
            can_trade=account.can_trade,
            can_withdraw=account.can_withdraw,
            portfolio_margin=False,  # such an account is refused (-2015) before it can be asked anything here
            weight_used=self.client.budget.weight_used,
            weight_limit=self.client.budget.weight_limit,
            weight_of="request weight of a minute, for all that comes from this address",
            notes=("canTrade and canWithdraw are the account's, not this key's: the futures API does not tell those",),
        )

    async def second_surface(self) -> SecondSurface:
        source = "binance account (second surface)"
        catalog = await self.catalog()
        as_of_ms = await self._began()
        answer = await self._ask("fapiPrivateV3GetAccount", {}, wire.ACCOUNT, source)
        keys, all_told = open_keys(answer.positions, catalog, source)
        margin = exact(source, optional_decimal, answer.total_position_initial_margin, "totalPositionInitialMargin")
        return SecondSurface(
            account=self.account,
            as_of_ms=as_of_ms,
            open_keys=tuple(keys),
            informative=all_told,
            any_position_margin=None if margin is None else margin > 0,
        )

    async def cancel(self, order: CancelOrder) -> None:
        source = f"binance cancel {order.order_list.value} order {order.order_id} of {order.symbol}"
        if order.order_list is OrderList.ATTACHED:
            raise Rejected(source, "unsupported", "Binance has no stops that sit on a position")
        instrument = await self._instrument(order.symbol, source)
        await self._began()
        if order.order_list is OrderList.CONDITIONAL:
            await self.client.act("fapiPrivateDeleteAlgoOrder", {"algoId": order.order_id}, source=source)
        else:
            params = {"symbol": instrument.venue_symbol, "orderId": order.order_id}
            await self.client.act("fapiPrivateDeleteOrder", params, source=source)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """`GET /fapi/v1/order` knows open and ended orders alike."""
        source = f"binance order {client_order_id} of {symbol}"
        instrument = await self._instrument(symbol, source)
        await self._began()
        params = {"symbol": instrument.venue_symbol, "origClientOrderId": client_order_id}
        try:
            row = await self._ask("fapiPrivateGetOrder", params, wire.ORDER, source)
        except Refused as refused:
            if refused.code in DOES_NOT_EXIST:
                return None
            raise
        return exact(source, order_record, row, symbol)

    async def find_stop(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """`GET /fapi/v1/algoOrder` knows open and ended orders alike."""
        source = f"binance conditional order {client_order_id} of {symbol}"
        await self._began()
        try:
            row = await self._ask("fapiPrivateGetAlgoOrder", {"clientAlgoId": client_order_id}, wire.ALGO_ORDER, source)
        except Refused as refused:
            if refused.code in DOES_NOT_EXIST:
                return None
            raise
        return exact(source, algo_record, row, symbol)

    async def place_stop(self, report: PositionReport, stop: StopOrder) -> None:
        """`POST /fapi/v1/algoOrder`."""
        source = f"binance stop of {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        try:
            await self.client.act("fapiPrivatePostAlgoOrder", stop_params(stop, report, instrument), source=source)
        except Rejected as refused:
            raise await self._stop_refused(refusal_of(refused)) from None

    async def trailing_id(self, report: PositionReport) -> str | None:
        """Told by its client id."""
        return None

    async def place_trailing(self, report: PositionReport, order: TrailingOrder, trigger_by: str) -> None:
        """`POST /fapi/v1/algoOrder`."""
        source = f"binance trailing stop of {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        params = trailing_params(order, report, instrument, trigger_by)
        await self.client.act("fapiPrivatePostAlgoOrder", params, source=source)

    async def close_market(self, report: PositionReport, client_order_id: str) -> None:
        """Reduce-only in one-way mode; in hedge mode the exit side of the leg says so, and reduceOnly is refused."""
        source = f"binance close {report.side.value} {report.symbol}"
        instrument = await self._instrument(report.symbol, source)
        await self._began()
        params: dict[str, str | int] = {
            "symbol": instrument.venue_symbol,
            "side": report.side.exit_side.value.upper(),
            "type": "MARKET",
            "quantity": decimal_text(report.quantity),
            "newClientOrderId": client_order_id,
        }
        params |= {"positionSide": report.side.value.upper()} if report.hedge else {"reduceOnly": "true"}
        await self.client.act("fapiPrivatePostOrder", params, source=source)


def _about(instrument: Instrument | None) -> dict[str, str | int]:
    return {} if instrument is None else {"symbol": instrument.venue_symbol}


def _collected(
    rows: Iterable[R],
    read: Callable[[R, str], OpenOrder],
    catalog: InstrumentCatalog,
    quarantined: list[Quarantined],
) -> list[OpenOrder]:
    """The readable rows as orders; the others go to `quarantined`."""
    orders = []
    for row in rows:
        instrument = catalog.by_venue_symbol(CATEGORY, row.symbol)
        if instrument is None:
            problem = f"an open order of {row.symbol}, which is not in the venue's market list"
            quarantined.append(Quarantined(symbol=row.symbol, problem=problem))
            continue
        try:
            orders.append(read(row, instrument.symbol))
        except Unreadable as error:
            quarantined.append(Quarantined(symbol=instrument.symbol, problem=str(error)))
    return orders
