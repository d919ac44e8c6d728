"""Any value that the model allows comes back the same from every store."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.store.backends import SqlBackend
from tests.contract.store.values import changes, event, fetched, fill, new_position, observation, order, trade, update
from trueup.model.changes import NewPosition, RecordedOrder, RecordedTrade
from trueup.model.decimals import decimal_text
from trueup.model.orders import FillKind, OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.positions import Amount, CloseDetails, Evidence, ExitReason, Origin, PositionKey
from trueup.ports import Store
from trueup.store import MemoryDatabase, MemoryStore

# What no database takes as text is another test's: test_records.py.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=18)
SHORT_DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**6).filter(
    lambda number: number.as_tuple().exponent > -60  # type: ignore[operator]
)
NUMBERS = st.one_of(DIGITS, SHORT_DIGITS, st.sampled_from([Decimal("0.010"), Decimal("1E-18"), Decimal("1E+9")]))
POSITIVE = NUMBERS.map(abs).filter(bool)
TIMES = st.integers(min_value=0, max_value=4_000_000_000_000)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


AMOUNTS = st.builds(Amount, asset=TEXTS, amount=NUMBERS)
CLOSES = st.builds(
    CloseDetails,
    quantity=POSITIVE,
    exit_price=maybe(POSITIVE),
    settle_asset=TEXTS,
    realized_pnl=maybe(NUMBERS),
    fees=st.lists(AMOUNTS, max_size=3).map(tuple),
    funding=maybe(NUMBERS),
    net_pnl=maybe(NUMBERS),
    pnl_percentage=maybe(NUMBERS),
    exit_reason=st.sampled_from(ExitReason),
    evidence=st.sampled_from(Evidence),
    complete=st.booleans(),
    closing_order_id=maybe(TEXTS),
    closed_at_ms=TIMES,
)
OPENS = st.builds(
    NewPosition,
    key=st.builds(PositionKey, st.just("main"), TEXTS.filter(str.strip), st.sampled_from(Side)),
    venue=st.sampled_from(["binanceusdm", "bybit"]),
    origin=st.sampled_from(Origin),
    quantity=POSITIVE,
    contract_size=POSITIVE,
    entry_price=maybe(POSITIVE),
    current_price=maybe(POSITIVE),
    leverage=maybe(POSITIVE),
    stop_loss=maybe(POSITIVE),
    take_profit=maybe(POSITIVE),
    unverified=st.booleans(),
    realized_pnl=maybe(NUMBERS),
    opened_at_ms=TIMES,
    opening_order_id=maybe(TEXTS),
    venue_updated_at_ms=maybe(TIMES),
    verified_as_of_ms=maybe(TIMES),
    close=CLOSES,
)
ORDERS = st.builds(
    order,
    symbol=TEXTS,
    order_id=TEXTS,
    client_order_id=maybe(TEXTS),
    order_list=st.sampled_from(OrderList),
    kind=st.sampled_from(OrderKind),
    order_side=st.sampled_from(OrderSide),
    status=st.sampled_from(OrderStatus),
    quantity=maybe(NUMBERS),
    filled_quantity=maybe(NUMBERS),
    average_price=maybe(NUMBERS),
    trigger_price=maybe(NUMBERS),
    closing=st.booleans(),
    ours=st.booleans(),
    is_exit=st.booleans(),
    venue_type=TEXTS,
    seen_at_ms=TIMES,
)
FILLS = st.builds(
    fill,
    symbol=TEXTS,
    trade_id=TEXTS,
    order_id=TEXTS,
    client_order_id=maybe(TEXTS),
    position_side=maybe(st.sampled_from(Side)),
    quantity=POSITIVE,
    price=NUMBERS,
    value=maybe(NUMBERS),
    fee=maybe(NUMBERS),
    fee_asset=maybe(TEXTS),
    realized_pnl=maybe(NUMBERS),
    closed_quantity=maybe(NUMBERS),
    at_ms=TIMES,
    sequence=maybe(st.integers(min_value=-(2**63), max_value=2**63 - 1)),
    kind=st.sampled_from(FillKind),
    order_kind=maybe(st.sampled_from(OrderKind)),
    created_by=maybe(TEXTS),
)
TRADES = st.builds(
    trade, fill=FILLS, opening=st.booleans(), quantity=POSITIVE, fees=maybe(AMOUNTS), realized_pnl=maybe(NUMBERS)
)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(min_value=-(2**53), max_value=2**53), TEXTS, NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
DATA = st.dictionaries(TEXTS, DOCUMENTS, max_size=4)


def _told(value: Any) -> Any:
    """What JSON keeps of a value: decimals are text."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {key: _told(inner) for key, inner in value.items()}
    return [_told(inner) for inner in value] if isinstance(value, list) else value


def _digits(number: Decimal | None) -> str | None:
    return None if number is None else decimal_text(number)


async def _round_trip(store: Store, new: NewPosition, stop: RecordedOrder, part: RecordedTrade, data: Any) -> None:
    owner = await store.claim("main", "test", 60)
    named = event(key=new.key, data=data)
    seen = observation(key=new.key, input="{}", output="[]")
    committed = await store.commit(
        owner,
        changes(
            opens=(new,),
            orders=(msgspec.structs.replace(stop, key=new.key),),
            trades=(msgspec.structs.replace(part, key=new.key),),
            events=(named,),
            observations=(seen,),
        ),
    )
    (position_id,) = committed.position_ids
    position = await fetched(store, position_id)
    assert (position.key, position.venue, position.origin) == (new.key, new.venue, new.origin)
    assert position.close == new.close
    assert new.close is not None
    assert position.close is not None
    pairs = [
        (position.contract_size, new.contract_size),
        (position.entry_price, new.entry_price),
        (position.current_price, new.current_price),
        (position.leverage, new.leverage),
        (position.stop_loss, new.stop_loss),
        (position.take_profit, new.take_profit),
        (position.close.quantity, new.close.quantity),
        (position.close.exit_price, new.close.exit_price),
        (position.close.funding, new.close.funding),
        (position.close.realized_pnl, new.close.realized_pnl),
    ]
    assert [_digits(back) for back, _ in pairs] == [_digits(given) for _, given in pairs]
    times = (position.opened_at_ms, position.venue_updated_at_ms, position.verified_as_of_ms)
    assert times == (new.opened_at_ms, new.venue_updated_at_ms, new.verified_as_of_ms)
    assert (position.unverified, position.opening_order_id) == (new.unverified, new.opening_order_id)
    (known,) = [o for o in await store.orders_of(position_id) if o.order_id == stop.order_id]
    first_seen = known.position_id == position_id and known.seen_at_ms == stop.seen_at_ms
    assert first_seen
    assert await store.trades_of(position_id) == [msgspec.structs.replace(part, position_id=position_id)]
    (entry,) = await store.events(position_id=position_id)
    expected = {**data, "position_id": position_id} if data.get("position_id", 0) is None else data
    assert entry.data == _told(expected)


@given(new=OPENS, stop=ORDERS, part=TRADES, data=DATA)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value_comes_back_from_sql(
    real_backend: SqlBackend, new: NewPosition, stop: RecordedOrder, part: RecordedTrade, data: dict[str, Any]
) -> None:
    async def example() -> None:
        store = await real_backend.store()
        try:
            await _round_trip(store, new, stop, part, data)
        finally:
            await store.aclose()

    asyncio.run(example())


@given(new=OPENS, stop=ORDERS, part=TRADES, data=DATA)
@settings(max_examples=100, deadline=None)
def test_any_value_comes_back_from_memory(
    new: NewPosition, stop: RecordedOrder, part: RecordedTrade, data: dict[str, Any]
) -> None:
    store = MemoryStore(MemoryDatabase(lambda: 0))
    asyncio.run(_round_trip(store, new, stop, part, data))


@pytest.mark.parametrize(
    "digits",
    [
        "0.010",
        "0.000000000000000001",
        "1234567890123456789012345678.90",
        "100",
        "0.0",
        "123456789012345678901234567890",
    ],
)
async def test_digits_of_amounts_are_kept_as_text(store: Store, digits: str) -> None:
    owner = await store.claim("main", "test", 60)
    number = Decimal(digits)
    committed = await store.commit(owner, changes(opens=(new_position(realized_pnl=number),)))
    position = await fetched(store, committed.position_ids[0])
    assert _digits(position.realized_pnl) == digits
    await store.commit(owner, changes(updates=(update(position, realized_pnl=number.copy_negate()),)))
    assert _digits((await fetched(store, position.position_id)).realized_pnl) == decimal_text(number.copy_negate())
