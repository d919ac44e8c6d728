"""Small builders for the pure core's tests: a venue's instruments, fills, rows, reports, cases.

Times are milliseconds on a small scale: `T0` is when the story begins, `VIEW` is what the view of a case speaks for.
Amounts are written as text, as a venue writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from trueup.core.cases import (
    AdoptionPolicy,
    Case,
    Close,
    History,
    KnownOrder,
    NeedsHistory,
    Policy,
    Suspect,
    Verdict,
)
from trueup.core.decide import decide_key
from trueup.core.situation import Situation
from trueup.model.changes import RecordedOrder
from trueup.model.holds import Hold, HoldKind, HoldState, Mark, MarkKind
from trueup.model.instruments import ContractKind, Instrument
from trueup.model.observations import (
    ClosedPnlHistory,
    FillHistory,
    FundingHistory,
    OrderLookup,
    PositionReport,
    SurfaceVerdict,
)
from trueup.model.orders import (
    ClosedPnl,
    Fill,
    FillKind,
    Funding,
    OpenOrder,
    OrderKind,
    OrderList,
    OrderRecord,
    OrderSide,
    OrderStatus,
    Side,
)
from trueup.model.positions import AccountMode, Position, PositionKey

ACCOUNT = "main"
BTC = "BTC/USDT:USDT"
LONG, SHORT, BUY, SELL = Side.LONG, Side.SHORT, OrderSide.BUY, OrderSide.SELL

DAY = 86_400_000
HOUR = 3_600_000
T0 = 1_700_000_000_000
VIEW = T0 + 6 * HOUR
REACH = VIEW - 180 * DAY

LINEAR = Instrument(
    venue="binanceusdm",
    symbol=BTC,
    venue_symbol="BTCUSDT",
    category="linear",
    kind=ContractKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=Decimal(1),
)
INVERSE = Instrument(
    venue="bybit",
    symbol="BTC/USD:BTC",
    venue_symbol="BTCUSD",
    category="inverse",
    kind=ContractKind.PERPETUAL,
    base="BTC",
    quote="USD",
    settle="BTC",
    contract_size=Decimal(1),
    inverse=True,
)
POLICY = Policy(
    adoption=AdoptionPolicy(what="adopt"),
    new_row_grace_ms=60_000,
    confirm_after_ms=30_000,
    confirm_snapshots=2,
)


def policy(adoption: str = "adopt", after_ms: int = 0, **changes: int) -> Policy:
    return msgspec.structs.replace(POLICY, adoption=AdoptionPolicy(what=adoption, after_ms=after_ms), **changes)


def dec(text: str | int | None) -> Decimal | None:
    return None if text is None else Decimal(text)


_ids = iter(range(1, 10**9))


def fill(
    order_side: OrderSide,
    quantity: str,
    price: str,
    at_ms: int,
    *,
    order: str | None = None,
    trade: str | None = None,
    pnl: str | None = None,
    fee: str | None = "0",
    asset: str | None = "USDT",
    leg: Side | None = None,
    closed: str | None = None,
    value: str | None = None,
    kind: FillKind = FillKind.TRADE,
    by: str | None = None,
    order_kind: OrderKind | None = None,
    client: str | None = None,
    symbol: str = BTC,
) -> Fill:
    """One execution. `pnl` as Binance states it, `closed` as Bybit does, `leg` for a Binance hedge."""
    number = next(_ids)
    return Fill(
        symbol=symbol,
        trade_id=trade or str(number),
        order_id=order or f"o{number}",
        client_order_id=client,
        order_side=order_side,
        position_side=leg,
        quantity=Decimal(quantity),
        price=Decimal(price),
        value=dec(value),
        fee=dec(fee),
        fee_asset=asset if fee is not None else None,
        realized_pnl=dec(pnl),
        closed_quantity=dec(closed),
        at_ms=at_ms,
        kind=kind,
        order_kind=order_kind,
        created_by=by,
    )


def row(
    side: Side = LONG,
    quantity: str = "5",
    *,
    entry: str | None = "100",
    opened: int = T0,
    seen: int | None = None,
    changed: int | None = None,
    order: str | None = None,
    position_id: int = 7,
    symbol: str = BTC,
    **more: object,
) -> Position:
    """A row of the book. `seen`: the view that last verified it; `changed`: the venue's own change time of that state."""
    values: dict[str, object] = {
        "position_id": position_id,
        "version": 3,
        "account": ACCOUNT,
        "venue": "binanceusdm",
        "symbol": symbol,
        "written_symbol": symbol,
        "side": side,
        "quantity": Decimal(quantity),
        "contract_size": Decimal(1) if seen is not None else None,
        "entry_price": dec(entry),
        "opened_at_ms": opened,
        "created_at_ms": opened,
        "updated_at_ms": opened,
        "verified_as_of_ms": seen,
        "venue_updated_at_ms": changed,
        "opening_order_id": order,
    }
    return Position(**(values | more))  # type: ignore[arg-type]


def report(
    side: Side = LONG,
    quantity: str = "5",
    *,
    entry: str | None = "100",
    changed: int | None = None,
    mark: str | None = None,
    hedge: bool = False,
    symbol: str = BTC,
) -> PositionReport:
    return PositionReport(
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        contract_size=Decimal(1),
        entry_price=dec(entry),
        mark_price=dec(mark),
        hedge=hedge,
        updated_at_ms=changed,
    )


def history(
    fills: Iterable[Fill] = (),
    *,
    since: int = REACH,
    reach: int = REACH,
    asked: Sequence[str] = ("orders", "funding", "closed_pnl", "surface"),
    orders: Sequence[OrderRecord] = (),
    funding: Sequence[Funding] = (),
    funding_since: int = REACH,
    closed_pnl: Sequence[ClosedPnl] | None = None,
    failed: str | None = None,
    symbol: str = BTC,
) -> History:
    """Everything that was read; by default all of it was asked for and the fills go back to the venue's reach."""
    return History(
        fills=FillHistory(symbol=symbol, since_ms=since, until_ms=VIEW + 50, fills=tuple(fills), reach_ms=reach),
        asked=tuple(asked),
        orders=OrderLookup(symbol=symbol, asked=tuple(o.order_id for o in orders), records=tuple(orders)),
        funding=FundingHistory(symbol=symbol, since_ms=funding_since, until_ms=VIEW + 60, payments=tuple(funding)),
        closed_pnl=None
        if closed_pnl is None
        else ClosedPnlHistory(symbol=symbol, since_ms=since, until_ms=VIEW + 60, records=tuple(closed_pnl)),
        failed=failed,
    )


def case(
    book: Position | None = None,
    seen: PositionReport | None = None,
    past: History | None = None,
    *,
    opposite: PositionReport | None = None,
    instrument: Instrument | None = LINEAR,
    as_of: int = VIEW,
    rules: Policy = POLICY,
    trades: Sequence[str] = (),
    opening: tuple[str, str] | None = None,
    orders: Sequence[KnownOrder] = (),
    mark: Mark | None = None,
    surface: SurfaceVerdict = SurfaceVerdict.UNKNOWN,
    blocked: str | None = None,
    approved: bool = False,
    side: Side | None = None,
    learn: bool = False,
) -> Case:
    about = book or seen
    assert about is not None
    return Case(
        key=PositionKey(ACCOUNT, about.symbol, side or about.side),
        row=book,
        report=seen,
        opposite=opposite,
        instrument=instrument,
        as_of_ms=as_of,
        now_ms=as_of + 40,
        policy=rules,
        history=past,
        recorded_trade_ids=tuple(trades),
        recorded_opening=(opening[0], Decimal(opening[1])) if opening is not None else None,
        known_orders=tuple(orders),
        mark=mark,
        surface=surface,
        absence_blocked=blocked,
        approved=approved,
        learn=learn,
    )


def mark_of(
    about: Position | PositionReport,
    kind: MarkKind = MarkKind.GONE,
    *,
    first: int = VIEW - 30_000,
    last: int | None = None,
    count: int = 1,
    detail: str | None = None,
) -> Mark:
    return Mark(
        key=PositionKey(ACCOUNT, about.symbol, about.side),
        kind=kind,
        first_at_ms=first,
        last_as_of_ms=first if last is None else last,
        count=count,
        detail=str(about.quantity) if detail is None else detail,
    )


def closed(verdict: Verdict) -> Close:
    assert isinstance(verdict, Close), verdict
    return verdict


def suspected(verdict: Verdict) -> Suspect:
    assert isinstance(verdict, Suspect), verdict
    return verdict


def needs(verdict: Verdict) -> NeedsHistory:
    assert isinstance(verdict, NeedsHistory), verdict
    return verdict


def decide_close(book: Position, fills: Iterable[Fill], **more: object) -> Close:
    """The close of a row that the view lacks, its whole past read."""
    return closed(decide_key(case(book, None, history(fills), **more)))  # type: ignore[arg-type]


def situation(
    *,
    mode: AccountMode = AccountMode.SYNC,
    applies: bool = True,
    active: int = 10,
    recent: int = 0,
    fraction: str = "0.3",
    holds: Sequence[Hold] = (),
    recorded: Sequence[RecordedOrder] = (),
    **more: object,
) -> Situation:
    return Situation(
        account=ACCOUNT,
        venue="binanceusdm",
        mode=mode,
        applies=applies,
        now_ms=VIEW + 100,
        active_count=active,
        recent_absences=recent,
        mass_close_fraction=Decimal(fraction),
        holds=tuple(holds),
        recorded=tuple(recorded),
        **more,  # type: ignore[arg-type]
    )


def hold(
    kind: HoldKind,
    state: HoldState,
    fingerprint: str,
    keys: Sequence[tuple[str, Side]] = ((BTC, LONG),),
    hold_id: int = 41,
) -> Hold:
    return Hold(
        hold_id=hold_id,
        account=ACCOUNT,
        kind=kind,
        state=state,
        fingerprint=fingerprint,
        keys=tuple(keys),
        position_ids=(7,),
        summary="",
        data={},
        raised_at_ms=VIEW - 60_000,
    )


def open_order(
    order_id: str = "s1",
    side: OrderSide = SELL,
    *,
    kind: OrderKind = OrderKind.STOP,
    lists: OrderList = OrderList.CONDITIONAL,
    quantity: str | None = None,
    reduce_only: bool = False,
    close_position: bool = False,
    leg: Side | None = None,
    client: str | None = None,
    created: int | None = T0,
    symbol: str = BTC,
    trigger: str | None = "90",
) -> OpenOrder:
    return OpenOrder(
        symbol=symbol,
        order_id=order_id,
        client_order_id=client,
        order_list=lists,
        kind=kind,
        order_side=side,
        position_side=leg,
        reduce_only=reduce_only,
        close_position=close_position,
        quantity=dec(quantity),
        trigger_price=dec(trigger),
        created_at_ms=created,
        venue_type="STOP_MARKET",
    )


def recorded_order(
    order_id: str = "s1",
    position_id: int | None = 7,
    *,
    closing: bool = True,
    status: OrderStatus = OrderStatus.OPEN,
    lists: OrderList = OrderList.CONDITIONAL,
    kind: OrderKind = OrderKind.STOP,
    seen: int = T0,
    quantity: str | None = None,
    ours: bool = False,
) -> RecordedOrder:
    return RecordedOrder(
        account=ACCOUNT,
        symbol=BTC,
        order_id=order_id,
        position_id=position_id,
        order_list=lists,
        kind=kind,
        order_side=SELL,
        status=status,
        quantity=dec(quantity),
        trigger_price=Decimal(90),
        closing=closing,
        ours=ours,
        seen_at_ms=seen,
    )


def record(
    order_id: str,
    *,
    kind: OrderKind = OrderKind.STOP,
    status: OrderStatus = OrderStatus.FILLED,
    side: OrderSide = SELL,
    filled: str | None = "5",
    average: str | None = "110",
    at: int | None = VIEW - HOUR,
    by: str | None = None,
    client: str | None = None,
    parent: str | None = None,
    parent_client: str | None = None,
) -> OrderRecord:
    return OrderRecord(
        symbol=BTC,
        order_id=order_id,
        client_order_id=client,
        kind=kind,
        status=status,
        order_side=side,
        filled_quantity=dec(filled),
        average_price=dec(average),
        created_by=by,
        parent_order_id=parent,
        parent_client_order_id=parent_client,
        at_ms=at,
    )
