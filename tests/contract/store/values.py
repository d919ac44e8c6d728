"""Values for the suite, with every field that does not matter to a test already filled in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trueup.model.changes import (
    ChangeSet,
    ClosePosition,
    NewPosition,
    Observation,
    RecordedOrder,
    RecordedTrade,
    UpdatePosition,
)
from trueup.model.effects import EffectKind, NewEffect
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.holds import HoldKind, Mark, MarkKind, NewHold
from trueup.model.orders import Fill, OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Origin, Position, PositionKey
from trueup.ports import Owner, Store

NOW_MS = 1_767_225_600_123
LONG = PositionKey("main", "BTC/USDT:USDT", Side.LONG)
SHORT = LONG._replace(side=Side.SHORT)


def changes(**parts: Any) -> ChangeSet:
    return ChangeSet(**{"account": "main", "now_ms": NOW_MS, **parts})


def new_position(key: PositionKey = LONG, **fields: Any) -> NewPosition:
    values: dict[str, Any] = {
        "key": key,
        "venue": "binanceusdm",
        "origin": Origin.ADOPTED,
        "quantity": Decimal("0.010"),
        "contract_size": Decimal(1),
        "entry_price": Decimal("50000.10"),
        "opened_at_ms": NOW_MS - 5_000,
    }
    return NewPosition(**{**values, **fields})


def details(**fields: Any) -> CloseDetails:
    values: dict[str, Any] = {
        "quantity": Decimal("0.010"),
        "exit_price": Decimal("51000.00"),
        "settle_asset": "USDT",
        "realized_pnl": Decimal("9.9990"),
        "exit_reason": ExitReason.EXTERNAL,
        "evidence": Evidence.FILLS,
        "complete": True,
        "closed_at_ms": NOW_MS - 100,
    }
    return CloseDetails(**{**values, **fields})


def update(position: Position, **fields: Any) -> UpdatePosition:
    return UpdatePosition(**{"position_id": position.position_id, "version": position.version, **fields})


def close(position: Position, **fields: Any) -> ClosePosition:
    values: dict[str, Any] = {
        "position_id": position.position_id,
        "version": position.version,
        "details": details(),
    }
    return ClosePosition(**{**values, **fields})


def order(**fields: Any) -> RecordedOrder:
    values: dict[str, Any] = {
        "account": "main",
        "symbol": LONG.symbol,
        "order_id": "o-1",
        "order_list": OrderList.CONDITIONAL,
        "kind": OrderKind.STOP,
        "order_side": OrderSide.SELL,
        "status": OrderStatus.OPEN,
        "trigger_price": Decimal("49000.0"),
        "closing": True,
        "seen_at_ms": NOW_MS,
    }
    return RecordedOrder(**{**values, **fields})


def fill(**fields: Any) -> Fill:
    values: dict[str, Any] = {
        "symbol": LONG.symbol,
        "trade_id": "t-1",
        "order_id": "o-1",
        "order_side": OrderSide.BUY,
        "quantity": Decimal("0.010"),
        "price": Decimal("50000.10"),
        "at_ms": NOW_MS - 5_000,
    }
    return Fill(**{**values, **fields})


def trade(**fields: Any) -> RecordedTrade:
    values: dict[str, Any] = {"account": "main", "fill": fill(), "opening": True, "quantity": Decimal("0.010")}
    return RecordedTrade(**{**values, **fields})


def event(**fields: Any) -> NewEvent:
    values: dict[str, Any] = {
        "type": EventType.MISSING_POSITION_ADDED,
        "severity": Severity.INFO,
        "account": "main",
        "at_ms": NOW_MS,
        "symbol": LONG.symbol,
    }
    return NewEvent(**{**values, **fields})


def effect(dedup_key: str = "cancel:o-1", **fields: Any) -> NewEffect:
    values: dict[str, Any] = {
        "account": "main",
        "kind": EffectKind.CANCEL_ORDER,
        "dedup_key": dedup_key,
        "payload": '{"order_id":"o-1"}',
        "created_at_ms": NOW_MS,
    }
    return NewEffect(**{**values, **fields})


def hold(fingerprint: str = "f-1", **fields: Any) -> NewHold:
    values: dict[str, Any] = {
        "account": "main",
        "kind": HoldKind.MASS_CLOSE,
        "fingerprint": fingerprint,
        "keys": ((LONG.symbol, LONG.side),),
        "position_ids": (1,),
        "summary": "all at once",
        "data": {"count": 3, "share": Decimal("0.30")},
        "raised_at_ms": NOW_MS,
    }
    return NewHold(**{**values, **fields})


def mark(key: PositionKey = LONG, **fields: Any) -> Mark:
    values: dict[str, Any] = {
        "key": key,
        "kind": MarkKind.GONE,
        "first_at_ms": NOW_MS,
        "last_as_of_ms": NOW_MS,
        "count": 1,
    }
    return Mark(**{**values, **fields})


def observation(**fields: Any) -> Observation:
    values: dict[str, Any] = {"account": "main", "at_ms": NOW_MS, "name": "decide", "input": "{}", "output": "[]"}
    return Observation(**{**values, **fields})


async def opened(store: Store, owner: Owner, key: PositionKey = LONG, **fields: Any) -> Position:
    """Commits a new position and reads it back."""
    committed = await store.commit(owner, changes(opens=(new_position(key, **fields),)))
    return await fetched(store, committed.position_ids[0])


async def fetched(store: Store, position_id: int) -> Position:
    position = await store.position(position_id)
    assert position is not None
    return position
