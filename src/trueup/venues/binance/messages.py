"""Binance's user stream, decoded exactly: what changed, in the venue's symbols, with the way to the model's values.

1. A message is decoded whole or it is `Unobserved`; a kind that we do not use is `OtherMessage`, not an error.
2. `ACCOUNT_UPDATE` names only what changed: a symbol that it lacks is unchanged, not flat. A one-way close is size 0 on
   the one slot of the symbol.
3. A fill in `ORDER_TRADE_UPDATE` is complete (fee and realized PnL included); `TRADE_LITE` is the same fill early,
   without them, and never counts as one.

Source: developers.binance.com, USDⓈ-M Futures user data streams.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from trueup.model.decimals import optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unobserved, Unreadable
from trueup.model.orders import Fill, FillKind, OrderKind, OrderRecord, OrderSide, OrderStatus, Side
from trueup.model.values import Value
from trueup.venues.binance.orders import ALGO_STATUSES, KINDS, STATUSES, TRIGGERS, made_by, maker_of, order_side
from trueup.venues.binance.positions import leg_of
from trueup.venues.binance.stream_rows import (
    ACCOUNT,
    ALGO,
    HEAD,
    LITE,
    ORDER,
    AccountMessage,
    AlgoMessage,
    LiteMessage,
    OrderMessage,
    PositionRow,
)
from trueup.venues.wire import count_or_none, decode, exact, flag, text_or_none, time_or_none, whole

__all__ = [
    "AccountUpdate",
    "AlgoUpdate",
    "BalanceChange",
    "Message",
    "OrderUpdate",
    "OtherMessage",
    "PositionChange",
    "TradeLite",
    "decode_message",
    "fill_of_update",
    "record_of_update",
]

_EXECUTIONS = frozenset({"NEW", "TRADE", "CANCELED", "EXPIRED", "AMENDMENT", "CALCULATED", "REJECTED", "REPLACED"})
_FILL_KINDS = {"liquidation": FillKind.LIQUIDATION, "adl": FillKind.ADL, "settlement": FillKind.SETTLEMENT}


class BalanceChange(Value, frozen=True, kw_only=True):
    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal | None
    change: Decimal | None


class PositionChange(Value, frozen=True, kw_only=True):
    """A slot after its change.

    Attributes:
        leg: The hedge leg; None: the one-way slot, of which `side` then says the direction.
        side: None while flat.
        quantity: Contracts, zero while flat.
        entry_price: Quote units; None while flat.
        accumulated_pnl: Realized so far on this slot, before fees, settle asset.
    """

    venue_symbol: str
    leg: Side | None
    side: Side | None
    quantity: Decimal
    entry_price: Decimal | None
    accumulated_pnl: Decimal | None


class AccountUpdate(Value, frozen=True, kw_only=True):
    """`at_ms`: venue time of the change; `reason`: ORDER, FUNDING_FEE, …"""

    event_ms: int
    at_ms: int
    reason: str
    balances: tuple[BalanceChange, ...]
    positions: tuple[PositionChange, ...]


class OrderUpdate(Value, frozen=True, kw_only=True):
    """A regular order after a change.

    Attributes:
        execution: NEW, TRADE, CALCULATED (liquidation), CANCELED, EXPIRED, AMENDMENT.
        last_quantity, last_price, fee, fee_asset, trade_id, realized_pnl: Of the fill, where `is_fill`.
        limit_price, trigger_price, activation_price: Quote units; None: none.
        callback_rate: Percent, of a trailing stop.
    """

    event_ms: int
    at_ms: int
    venue_symbol: str
    order_id: str
    client_order_id: str | None
    order_side: OrderSide
    position_side: Side | None
    order_type: str
    original_type: str
    kind: OrderKind
    status: OrderStatus
    execution: str
    quantity: Decimal
    filled_quantity: Decimal
    limit_price: Decimal | None
    average_price: Decimal | None
    trigger_price: Decimal | None
    activation_price: Decimal | None
    callback_rate: Decimal | None
    trigger_by: str | None
    last_quantity: Decimal
    last_price: Decimal | None
    fee: Decimal | None
    fee_asset: str | None
    traded_at_ms: int
    trade_id: str | None
    realized_pnl: Decimal | None
    reduce_only: bool
    close_position: bool
    maker: bool

    @property
    def is_fill(self) -> bool:
        return self.execution in ("TRADE", "CALCULATED") and self.trade_id is not None and self.last_quantity > 0


class AlgoUpdate(Value, frozen=True, kw_only=True):
    """A conditional order after a change.

    Attributes:
        child_order_id: The regular order that it became; None before it triggered.
        quantity: None: the whole position.
        reject_reason: Why the child was refused, where it was.
    """

    event_ms: int
    at_ms: int
    venue_symbol: str
    algo_id: str
    client_algo_id: str | None
    algo_type: str
    order_type: str
    kind: OrderKind
    order_side: OrderSide
    position_side: Side | None
    status: OrderStatus
    status_text: str
    quantity: Decimal | None
    trigger_price: Decimal | None
    limit_price: Decimal | None
    trigger_by: str | None
    reduce_only: bool
    close_position: bool
    child_order_id: str | None
    average_price: Decimal | None
    filled_quantity: Decimal | None
    triggered_at_ms: int | None
    reject_reason: str | None


class TradeLite(Value, frozen=True, kw_only=True):
    """A fill, early and without its money."""

    event_ms: int
    at_ms: int
    venue_symbol: str
    order_id: str
    client_order_id: str | None
    order_side: OrderSide
    trade_id: str
    order_quantity: Decimal
    order_price: Decimal | None
    last_quantity: Decimal
    last_price: Decimal
    maker: bool


class OtherMessage(Value, frozen=True, kw_only=True):
    """A kind that carries no evidence: `listenKeyExpired`, `MARGIN_CALL`, `ACCOUNT_CONFIG_UPDATE`, …"""

    kind: str
    event_ms: int | None


Message: TypeAlias = AccountUpdate | OrderUpdate | AlgoUpdate | TradeLite | OtherMessage


def decode_message(text: str) -> Message:
    """One message of the user stream, bare or in its combined-stream envelope.

    Raises:
        Unobserved: It is not JSON, or a message of ours with a field missing or unreadable.
    """
    source = "binance user stream"
    head = decode(text, HEAD, source)
    if head.e is None and bytes(head.data).startswith(b"{"):
        return decode_message(bytes(head.data).decode())
    kind = head.e or ""
    if not kind:
        raise Unobserved(source, "a message without a kind (e)")
    if kind == "ACCOUNT_UPDATE":
        return exact(source, _account_update, decode(text, ACCOUNT, f"{source} {kind}"))
    if kind == "ORDER_TRADE_UPDATE":
        return exact(source, _order_update, decode(text, ORDER, f"{source} {kind}"))
    if kind == "ALGO_UPDATE":
        return exact(source, _algo_update, decode(text, ALGO, f"{source} {kind}"))
    if kind == "TRADE_LITE":
        return exact(source, _trade_lite, decode(text, LITE, f"{source} {kind}"))
    return OtherMessage(kind=kind, event_ms=exact(source, time_or_none, head.event, "E"))


def _account_update(message: AccountMessage) -> AccountUpdate:
    return AccountUpdate(
        event_ms=whole(message.event, "E"),
        at_ms=whole(message.at, "T"),
        reason=message.a.m,
        balances=tuple(
            BalanceChange(
                asset=row.a,
                wallet_balance=parse_decimal(row.wb, f"wb of {row.a}"),
                cross_wallet_balance=optional_decimal(row.cw, f"cw of {row.a}"),
                change=optional_decimal(row.bc, f"bc of {row.a}"),
            )
            for row in message.a.balances
        ),
        positions=tuple(_position_change(row) for row in message.a.positions),
    )


def _position_change(row: PositionRow) -> PositionChange:
    size = parse_decimal(row.pa, f"pa of {row.s}")
    leg = leg_of(row.ps, f"ps of {row.s}")
    signed = None if size == 0 else Side.LONG if size > 0 else Side.SHORT
    if leg is not None and signed not in (None, leg):
        raise Unreadable(f"pa of {row.s} {row.ps}", expected="the sign of that leg", found=str(size))
    return PositionChange(
        venue_symbol=row.s,
        leg=leg,
        side=signed,
        quantity=abs(size),
        entry_price=None if signed is None else parse_decimal(row.ep, f"ep of {row.s}"),
        accumulated_pnl=optional_decimal(row.cr, f"cr of {row.s}"),
    )


def _order_update(message: OrderMessage) -> OrderUpdate:
    row = message.o
    name = f"order {row.i}"
    if row.x not in _EXECUTIONS:
        raise Unreadable(f"x of {name}", expected=f"one of {', '.join(sorted(_EXECUTIONS))}", found=row.x)
    original_type = row.ot or row.o
    trade = count_or_none(row.t, f"t of {name}")
    fee = optional_decimal(row.n, f"n of {name}")
    return OrderUpdate(
        event_ms=whole(message.event, "E"),
        at_ms=whole(message.at, "T"),
        venue_symbol=row.s,
        order_id=str(whole(row.i, "i")),
        client_order_id=text_or_none(row.c),
        order_side=order_side(row.side, f"S of {name}"),
        position_side=leg_of(row.ps or "BOTH", f"ps of {name}"),
        order_type=row.o,
        original_type=original_type,
        kind=KINDS.get(original_type, OrderKind.OTHER),
        status=STATUSES.get(row.status, OrderStatus.UNKNOWN),
        execution=row.x,
        quantity=parse_decimal(row.q, f"q of {name}"),
        filled_quantity=parse_decimal(row.z, f"z of {name}"),
        limit_price=positive_or_none(row.p, f"p of {name}"),
        average_price=positive_or_none(row.ap, f"ap of {name}"),
        trigger_price=positive_or_none(row.sp, f"sp of {name}"),
        activation_price=positive_or_none(row.activation, f"AP of {name}"),
        callback_rate=positive_or_none(row.cr, f"cr of {name}"),
        trigger_by=TRIGGERS.get(row.wt or ""),
        last_quantity=parse_decimal(row.l, f"l of {name}"),
        last_price=positive_or_none(row.last_price, f"L of {name}"),
        fee=fee,
        fee_asset=text_or_none(row.fee_asset),
        traded_at_ms=whole(row.at, f"T of {name}"),
        trade_id=str(trade) if trade is not None and trade > 0 else None,
        realized_pnl=optional_decimal(row.rp, f"rp of {name}"),
        reduce_only=flag(row.reduce_only, f"R of {name}"),
        close_position=flag(row.cp, f"cp of {name}"),
        maker=flag(row.m, f"m of {name}"),
    )


def _algo_update(message: AlgoMessage) -> AlgoUpdate:
    row = message.o
    name = f"algo order {row.aid}"
    whole_position = flag(row.cp, f"cp of {name}")
    child = text_or_none(row.ai)
    return AlgoUpdate(
        event_ms=whole(message.event, "E"),
        at_ms=whole(message.at, "T"),
        venue_symbol=row.s,
        algo_id=str(whole(row.aid, "aid")),
        client_algo_id=text_or_none(row.caid),
        algo_type=row.at,
        order_type=row.o,
        kind=KINDS.get(row.o, OrderKind.OTHER),
        order_side=order_side(row.side, f"S of {name}"),
        position_side=leg_of(row.ps or "BOTH", f"ps of {name}"),
        status=ALGO_STATUSES.get(row.status, OrderStatus.UNKNOWN),
        status_text=row.status,
        quantity=None if whole_position else positive_or_none(row.q, f"q of {name}"),
        trigger_price=positive_or_none(row.tp, f"tp of {name}"),
        limit_price=positive_or_none(row.p, f"p of {name}"),
        trigger_by=TRIGGERS.get(row.wt or ""),
        reduce_only=flag(row.reduce_only, f"R of {name}"),
        close_position=whole_position,
        child_order_id=None if child == "0" else child,
        average_price=positive_or_none(row.ap, f"ap of {name}"),
        filled_quantity=optional_decimal(row.aq, f"aq of {name}"),
        triggered_at_ms=time_or_none(row.tt, f"tt of {name}"),
        reject_reason=text_or_none(row.rm),
    )


def _trade_lite(row: LiteMessage) -> TradeLite:
    name = f"trade {row.t}"
    return TradeLite(
        event_ms=whole(row.event, "E"),
        at_ms=whole(row.at, "T"),
        venue_symbol=row.s,
        order_id=str(whole(row.i, "i")),
        client_order_id=text_or_none(row.c),
        order_side=order_side(row.side, f"S of {name}"),
        trade_id=str(whole(row.t, "t")),
        order_quantity=parse_decimal(row.q, f"q of {name}"),
        order_price=positive_or_none(row.p, f"p of {name}"),
        last_quantity=parse_decimal(row.l, f"l of {name}"),
        last_price=parse_decimal(row.last_price, f"L of {name}"),
        maker=flag(row.m, f"m of {name}"),
    )


def fill_of_update(update: OrderUpdate, symbol: str) -> Fill | None:
    """The fill that an order update brings, as the trade history will show it; None if it brings none.

    Unlike the history it knows the order's client id, and so who made a liquidation, an ADL or a settlement.
    """
    if not update.is_fill or update.trade_id is None or update.last_price is None:
        return None
    maker = made_by(update.client_order_id)
    return Fill(
        symbol=symbol,
        trade_id=update.trade_id,
        order_id=update.order_id,
        client_order_id=update.client_order_id,
        order_side=update.order_side,
        position_side=update.position_side,
        quantity=update.last_quantity,
        price=update.last_price,
        fee=update.fee,
        fee_asset=update.fee_asset,
        realized_pnl=update.realized_pnl,
        at_ms=update.traded_at_ms,
        sequence=int(update.trade_id),
        kind=_FILL_KINDS.get(maker, FillKind.TRADE),
        created_by=None if maker == "user" else maker,
    )


def record_of_update(update: OrderUpdate, symbol: str) -> OrderRecord:
    """The order as its history will show it."""
    return OrderRecord(
        symbol=symbol,
        order_id=update.order_id,
        client_order_id=update.client_order_id,
        kind=update.kind,
        status=update.status,
        order_side=update.order_side,
        filled_quantity=update.filled_quantity,
        average_price=update.average_price,
        reduce_only=update.reduce_only,
        close_position=update.close_position,
        trigger_price=update.trigger_price,
        created_by=maker_of(
            update.client_order_id,
            update.kind,
            update.order_side,
            update.position_side,
            closes=update.reduce_only or update.close_position,
        ),
        at_ms=update.at_ms,
    )
