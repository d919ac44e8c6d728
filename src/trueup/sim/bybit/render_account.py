"""Balances and movements of money as rows of Bybit's answers and streams.

1. A log row's change = cashFlow + funding − fee, exactly, and cashBalance is the wallet after it.
2. Account totals are in US dollars, at index prices; a coin without a price counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.render_orders import funding_rate
from trueup.sim.bybit.text import plain, price_text, quantity_text
from trueup.sim.world import AccountView, World
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.refusals import UnknownSymbol
from trueup.sim.world.types import ZERO, ExecType, Fill, LedgerEntry, LedgerKind
from trueup.sim.world.view import Margin

Row = dict[str, object]
_DOLLARS = frozenset({"USDT", "USDC", "USD"})
_CENTS = Decimal("0.00000001")
_LOG_TYPES = {
    ExecType.TRADE: "TRADE",
    ExecType.LIQUIDATION: "LIQUIDATION",
    ExecType.ADL: "ADL",
    ExecType.SETTLEMENT: "DELIVERY",
    ExecType.FUNDING: "SETTLEMENT",
}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The movements of one happening in one currency, oldest first; `fill` is the execution behind them."""

    movements: tuple[LedgerEntry, ...]
    fill: Fill | None

    @property
    def last(self) -> LedgerEntry:
        return self.movements[-1]

    def total(self, *kinds: LedgerKind) -> Decimal:
        """What the movements of these kinds add up to."""
        return sum((entry.amount for entry in self.movements if entry.kind in kinds), ZERO)


def log_type(entry: LogEntry) -> str:
    """`type` of a transaction log row."""
    if entry.fill is not None:
        return _LOG_TYPES[entry.fill.exec_type]
    if entry.last.kind is LedgerKind.INSURANCE:
        return "LIQUIDATION"
    return "TRANSFER_IN" if entry.last.amount > 0 else "TRANSFER_OUT"


def log_row(view: AccountView, entry: LogEntry) -> Row:
    """One row of the transaction log."""
    last, fill = entry.last, entry.fill
    funding = entry.total(LedgerKind.FUNDING)
    fee = -entry.total(LedgerKind.COMMISSION)
    cash = entry.total(LedgerKind.REALIZED_PNL, LedgerKind.TRANSFER, LedgerKind.INSURANCE)
    is_funding = fill is not None and fill.exec_type is ExecType.FUNDING
    row: Row = {
        "id": f"{view.spec.uid}_{last.symbol or last.asset}_{last.entry_id}",
        "symbol": last.symbol or "",
        "category": view.instrument(last.symbol).category if last.symbol is not None else "",
        "side": "None",
        "transactionTime": str(last.at_ms),
        "type": log_type(entry),
        "transSubType": "",
        "qty": plain(abs(last.amount)),
        "size": "0",
        "currency": last.asset,
        "tradePrice": "0",
        "funding": plain(funding) if is_funding else "",
        "fee": plain(fee),
        "cashFlow": plain(cash),
        "change": plain(cash + funding - fee),
        "cashBalance": plain(last.balance_after),
        "feeRate": "0",
        "bonusChange": "",
        "tradeId": "",
        "orderId": "",
        "orderLinkId": "",
        "extraFees": "",
    }
    if fill is not None:
        row.update(_fill_fields(view, fill))
    return row


def _fill_fields(view: AccountView, fill: Fill) -> Row:
    spec = view.instrument(fill.symbol)
    is_funding = fill.exec_type is ExecType.FUNDING
    side = ("Buy" if fill.position_after > 0 else "Sell") if is_funding else names.SIDE_WORDS[fill.side]
    sign = "-" if fill.position_after < 0 else ""
    return {
        "side": side,
        "qty": quantity_text(spec, fill.quantity),
        "size": sign + quantity_text(spec, fill.position_after),
        "tradePrice": price_text(spec, fill.price),
        "feeRate": plain(funding_rate(fill) if is_funding else fill.fee_rate),
        "tradeId": uuid_text(fill.fill_id),
        "orderId": uuid_text(fill.order_id) if fill.order_id is not None else "",
        "orderLinkId": fill.client_order_id,
    }


def dollar_price(world: World, coin: str) -> Decimal:
    """US dollars of one coin, 0 when nothing prices it."""
    if coin in _DOLLARS:
        return Decimal(1)
    try:
        return world.price("bybit", f"{coin}USDT").index
    except UnknownSymbol:
        return ZERO


def wallet_row(world: World, view: AccountView, wanted: Sequence[str]) -> Row:
    """The account with its coins: those asked for, else those that hold something."""
    wallets = view.wallets()
    margins = {coin: view.margin(coin) for coin in wallets}
    settled = _realized_by_coin(view)
    shown = wanted or [coin for coin, margin in margins.items() if margin.wallet or margin.unrealized_pnl]
    coins = []
    for coin in shown:
        margin = margins.get(coin) or view.margin(coin)
        coins.append(_coin_row(margin, dollar_price(world, coin), settled.get(coin, ZERO)))
    return {**_totals(world, margins.values()), "accountType": "UNIFIED", "coin": coins}


def _realized_by_coin(view: AccountView) -> dict[str, Decimal]:
    """All that was ever realized, by settle coin."""
    found: dict[str, Decimal] = {}
    for position in view.positions(flat=True):
        settle = view.instrument(position.symbol).settle
        found[settle] = found.get(settle, ZERO) + position.cumulative_net
    return found


def _totals(world: World, margins: Iterable[Margin]) -> Row:
    equity = wallet = balance = free = gain = initial = maintenance = ZERO
    for margin in margins:
        rate = dollar_price(world, margin.asset)
        equity += margin.margin_balance * rate
        wallet += margin.wallet * rate
        balance += margin.margin_balance * rate
        free += margin.available * rate
        gain += margin.unrealized_pnl * rate
        initial += (margin.position_initial_margin + margin.order_initial_margin) * rate
        maintenance += margin.maintenance_margin * rate
    initial_rate = plain(round(initial / balance, 4)) if balance else "0"
    maintenance_rate = plain(round(maintenance / balance, 4)) if balance else "0"
    initial_text, maintenance_text = _money(initial), _money(maintenance)
    return {
        "totalEquity": _money(equity),
        "accountIMRate": initial_rate,
        "accountIMRateByMp": initial_rate,
        "totalMarginBalance": _money(balance),
        "totalInitialMargin": initial_text,
        "totalInitialMarginByMp": initial_text,
        "totalAvailableBalance": _money(free),
        "accountMMRate": maintenance_rate,
        "accountMMRateByMp": maintenance_rate,
        "totalPerpUPL": _money(gain),
        "totalWalletBalance": _money(wallet),
        "accountLTV": "0",
        "totalMaintenanceMargin": maintenance_text,
        "totalMaintenanceMarginByMp": maintenance_text,
    }


def _coin_row(margin: Margin, rate: Decimal, realized: Decimal) -> Row:
    return {
        "coin": margin.asset,
        "equity": plain(margin.margin_balance),
        "usdValue": _money(margin.margin_balance * rate),
        "walletBalance": plain(margin.wallet),
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(margin.order_initial_margin),
        "totalPositionIM": plain(margin.position_initial_margin),
        "totalPositionMM": plain(margin.maintenance_margin),
        "unrealisedPnl": plain(margin.unrealized_pnl),
        "cumRealisedPnl": plain(realized),
        "bonus": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "colRes": "0",
        "spotBorrow": "0",
        "availableToWithdraw": plain(margin.available),
        "availableToBorrow": "",
    }


def _money(amount: Decimal) -> str:
    return plain(amount.quantize(_CENTS))
