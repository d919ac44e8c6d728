"""What belongs to positions: orders, trades, events, effects, holds, marks, observations."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.store.backends import SqlBackend
from tests.contract.store.values import (
    LONG,
    NOW_MS,
    SHORT,
    changes,
    close,
    details,
    effect,
    event,
    fill,
    hold,
    mark,
    new_position,
    observation,
    opened,
    order,
    trade,
)
from trueup.model.changes import RecordedOrder
from trueup.model.effects import EffectState, EffectUpdate
from trueup.model.errors import Conflict, InvariantBroken
from trueup.model.events import EventType, Severity
from trueup.model.holds import HoldKind, HoldState, HoldUpdate, MarkKind
from trueup.model.orders import FillKind, OrderKind, OrderSide, OrderStatus, Side
from trueup.model.positions import Amount
from trueup.model.times import DAY_MS
from trueup.ports import Owner, Store
from trueup.store.limits import UNBOUND_KEPT


async def test_everything_of_a_decision_names_the_row_that_it_inserts(store: Store, owner: Owner) -> None:
    await opened(store, owner, SHORT)
    committed = await store.commit(
        owner,
        changes(
            opens=(new_position(),),
            orders=(order(key=LONG, is_exit=True),),
            trades=(trade(key=LONG),),
            events=(event(key=LONG, data={"position_id": None, "quantity": Decimal("0.010")}), event(key=LONG)),
            effects=(effect(key=LONG),),
            observations=(observation(key=LONG),),
        ),
    )
    (position_id,) = committed.position_ids
    assert [known.position_id for known in await store.orders_of(position_id)] == [position_id]
    assert [known.position_id for known in await store.trades_of(position_id)] == [position_id]
    log = await store.events(position_id=position_id)
    assert [entry.event_id for entry in log] == list(committed.event_ids)
    assert [entry.data for entry in log] == [{"position_id": position_id, "quantity": "0.010"}, {}]
    (waiting,) = await store.effects()
    assert (waiting.effect_id, waiting.position_id) == (committed.effect_ids[0], position_id)
    assert [seen.position_id for seen in await store.observations_of(position_id)] == [position_id]


async def test_tags_tell_two_insertions_of_one_key_apart(store: Store, owner: Owner) -> None:
    committed = await store.commit(
        owner,
        changes(
            opens=(new_position(close=details(), tag="first"), new_position(tag="second")),
            trades=(trade(key=LONG, tag="second"), trade(key=LONG, tag="first", fill=fill(trade_id="t-2"))),
            orders=(order(key=LONG, tag="first"),),
            events=(event(key=LONG, tag="first", data={"position_id": None}), event(key=LONG)),
        ),
    )
    first, second = committed.position_ids
    assert [known.fill.trade_id for known in await store.trades_of(first)] == ["t-2"]
    assert [known.fill.trade_id for known in await store.trades_of(second)] == ["t-1"]
    assert [known.order_id for known in await store.orders_of(first)] == ["o-1"]
    # Without a tag the key means the lifecycle that goes on.
    assert [entry.position_id for entry in await store.events()] == [first, second]


async def test_what_names_no_row_is_refused_whole(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    refused = [
        changes(trades=(trade(),)),
        changes(trades=(trade(key=SHORT),)),
        changes(trades=(trade(position_id=999),)),
        changes(orders=(order(position_id=999),)),
        changes(orders=(order(key=SHORT),)),
        changes(effects=(effect(key=SHORT),)),
        changes(opens=(new_position(SHORT), new_position(SHORT))),
        changes(orders=(order(account="other"),)),
    ]
    for change in refused:
        with pytest.raises((InvariantBroken, Conflict)):
            await store.commit(owner, change)
    assert await store.positions() == [position]
    assert await store.orders_of(999) == []
    assert await store.effects() == []


async def test_an_order_comes_back_and_is_recorded_once(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    first = order(
        position_id=position.position_id,
        client_order_id="tu-1",
        quantity=Decimal("0.010"),
        ours=True,
        venue_type="STOP_MARKET",
    )
    await store.commit(owner, changes(orders=(first,)))
    assert await store.orders_of(position.position_id) == [first]
    again = RecordedOrder(
        account="main",
        symbol=first.symbol,
        order_id=first.order_id,
        order_list=first.order_list,
        kind=OrderKind.MARKET,
        order_side=OrderSide.SELL,
        status=OrderStatus.FILLED,
        filled_quantity=Decimal("0.010"),
        average_price=Decimal("48990.5"),
        is_exit=True,
        seen_at_ms=NOW_MS + 50,
    )
    await store.commit(owner, changes(orders=(again,)))
    (known,) = await store.orders_of(position.position_id)
    # Newly said values replace; what the second record does not say stays known.
    assert (known.status, known.kind, known.filled_quantity) == (OrderStatus.FILLED, OrderKind.MARKET, Decimal("0.010"))
    assert (known.client_order_id, known.quantity, known.trigger_price) == (
        "tu-1",
        Decimal("0.010"),
        first.trigger_price,
    )
    assert (known.ours, known.is_exit, known.seen_at_ms) == (True, True, NOW_MS + 50)


async def test_an_order_stays_ours_in_its_lifecycle_unless_it_was_rejected(store: Store, owner: Owner) -> None:
    async def recorded(position_id: int | None, *, ours: bool = False) -> bool:
        await store.commit(owner, changes(orders=(order(position_id=position_id, ours=ours),)))
        [known] = await store.orders_of(before.position_id if position_id is None else position_id)
        return known.ours

    before, after = await opened(store, owner), await opened(store, owner, SHORT)
    assert await recorded(before.position_id, ours=True)
    assert await recorded(before.position_id)
    assert await recorded(None)
    assert not await recorded(after.position_id), "another stop under the same id"
    assert await recorded(after.position_id, ours=True)
    refused = (LONG.symbol, order().order_id, OrderStatus.REJECTED)
    await store.commit(owner, changes(forget_orders=(refused,)))
    assert not await recorded(after.position_id), "it was never set: this one is somebody else's"


async def test_an_order_named_twice_in_one_commit_ends_as_the_last(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    one = order(position_id=position.position_id)
    two = order(position_id=position.position_id, status=OrderStatus.CANCELLED, trigger_price=None)
    await store.commit(owner, changes(orders=(one, order(order_id="o-2"), two)))
    (known,) = await store.orders_of(position.position_id)
    assert (known.status, known.trigger_price) == (OrderStatus.CANCELLED, one.trigger_price)


async def test_open_recorded_orders_are_those_of_lifecycles_until_forgotten(store: Store, owner: Owner) -> None:
    active = await opened(store, owner)
    ended = await opened(store, owner, SHORT)
    await store.commit(
        owner,
        changes(
            closes=(close(ended),),
            orders=(
                order(position_id=active.position_id, order_id="stop"),
                order(position_id=active.position_id, order_id="filled", status=OrderStatus.FILLED),
                order(position_id=ended.position_id, order_id="orphan"),
                order(order_id="nobody's"),
            ),
        ),
    )
    assert [known.order_id for known in await store.recorded_orders("main")] == ["stop", "orphan"]
    assert await store.recorded_orders("other") == []
    gone = ((LONG.symbol, "orphan", OrderStatus.CANCELLED), (LONG.symbol, "never seen", OrderStatus.CANCELLED))
    await store.commit(owner, changes(now_ms=NOW_MS + 9, forget_orders=gone))
    assert [known.order_id for known in await store.recorded_orders("main")] == ["stop"]
    (forgotten,) = await store.orders_of(ended.position_id)
    assert (forgotten.status, forgotten.seen_at_ms) == (OrderStatus.CANCELLED, NOW_MS + 9)


async def test_an_order_whose_end_is_known_keeps_it(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    filled = order(position_id=position.position_id, order_id="stop", status=OrderStatus.FILLED)
    await store.commit(owner, changes(orders=(filled,)))
    await store.commit(owner, changes(forget_orders=((LONG.symbol, "stop", OrderStatus.CANCELLED),)))
    (kept,) = await store.orders_of(position.position_id)
    assert kept.status is OrderStatus.FILLED


async def test_an_effect_that_ends_makes_room_for_another_of_its_name(store: Store, owner: Owner) -> None:
    await store.commit(owner, changes(effects=(effect("close:7"),)))
    (first,) = await store.effects(account="main")
    done = EffectUpdate(effect_id=first.effect_id, state=EffectState.DONE, attempts=1, next_attempt_at_ms=NOW_MS)
    committed = await store.commit(owner, changes(effect_updates=(done,), effects=(effect("close:7"),)))
    states = {one.effect_id: one.state for one in await store.effects(account="main")}
    assert states == {first.effect_id: EffectState.DONE, committed.effect_ids[0]: EffectState.PENDING}


async def test_a_trade_comes_back_whole_and_once(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    whole = trade(
        position_id=position.position_id,
        fill=fill(
            client_order_id="c",
            position_side=Side.LONG,
            quantity=Decimal("0.030"),
            value=Decimal("1500.003"),
            fee=Decimal("0.0300"),
            fee_asset="BNB",
            realized_pnl=Decimal("-0.10"),
            closed_quantity=Decimal("0.020"),
            sequence=77,
            kind=FillKind.LIQUIDATION,
            order_kind=OrderKind.STOP,
            created_by="liquidation",
        ),
        fees=Amount(asset="BNB", amount=Decimal("0.0100")),
        realized_pnl=Decimal("-0.050"),
        opening=False,
    )
    plain = trade(position_id=position.position_id, fill=fill(trade_id="t-0", at_ms=NOW_MS - 9_000))
    await store.commit(owner, changes(trades=(whole, plain)))
    await store.commit(owner, changes(trades=(whole,)))
    assert await store.trades_of(position.position_id) == [plain, whole]


async def test_both_sides_of_a_trade_with_oneself_are_kept(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    sides = [
        trade(position_id=position.position_id, fill=fill(order_id=order_id, order_side=side), opening=opens)
        for order_id, side, opens in (("bought", OrderSide.BUY, True), ("sold", OrderSide.SELL, False))
    ]
    for _ in range(2):
        await store.commit(owner, changes(trades=tuple(sides)))
        assert await store.trades_of(position.position_id) == sides


async def test_one_fill_can_belong_to_two_lifecycles(store: Store, owner: Owner) -> None:
    ended = await opened(store, owner)
    committed = await store.commit(
        owner,
        changes(
            closes=(close(ended),),
            opens=(new_position(SHORT),),
            trades=(
                trade(position_id=ended.position_id, opening=False, quantity=Decimal("0.004")),
                trade(key=SHORT, quantity=Decimal("0.006")),
            ),
        ),
    )
    assert [t.quantity for t in await store.trades_of(ended.position_id)] == [Decimal("0.004")]
    assert [t.quantity for t in await store.trades_of(committed.position_ids[0])] == [Decimal("0.006")]


async def test_events_are_filtered_followed_and_limited(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    said = (
        event(type=EventType.POSITION_VERIFIED, position_id=position.position_id),
        event(type=EventType.POSITION_CLOSED, severity=Severity.WARNING, symbol=None, data={"a": [1, None, "x"]}),
        event(type=EventType.POSITION_VERIFIED, at_ms=NOW_MS + 1),
        event(type=EventType.OWNER_CHANGED, account=None),
    )
    ids = (await store.commit(owner, changes(events=said))).event_ids
    assert [entry.event_id for entry in await store.events()] == list(ids)
    assert [entry.event_id for entry in await store.events(account="main")] == list(ids[:3])
    assert [entry.event_id for entry in await store.events(type="POSITION_VERIFIED")] == [ids[0], ids[2]]
    assert [entry.event_id for entry in await store.events(after_id=ids[1])] == list(ids[2:])
    assert [entry.event_id for entry in await store.events(limit=2)] == list(ids[2:])
    assert await store.events(limit=0) == []
    assert [entry.event_id for entry in await store.events(position_id=position.position_id)] == [ids[0]]
    second = (await store.events())[1]
    assert (second.severity, second.symbol, second.data, second.at_ms) == (
        Severity.WARNING,
        None,
        {"a": [1, None, "x"]},
        NOW_MS,
    )
    assert await store.count_events("POSITION_VERIFIED", account="main", since_ms=NOW_MS) == 2
    assert await store.count_events("POSITION_VERIFIED", account="main", since_ms=NOW_MS + 1) == 1
    assert await store.count_events("POSITION_VERIFIED", account="other", since_ms=0) == 0


async def test_an_unfinished_effect_is_not_recorded_twice(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    first = effect(position_id=position.position_id)
    ids = (await store.commit(owner, changes(effects=(first, effect("other"), first)))).effect_ids
    assert ids[0] == ids[2] != ids[1]
    changed = effect(payload="{}", created_at_ms=NOW_MS + 7)
    assert (await store.commit(owner, changes(effects=(changed,)))).effect_ids == (ids[0],)
    (known, _) = await store.effects(account="main")
    assert (known.payload, known.created_at_ms, known.state, known.attempts) == (
        first.payload,
        NOW_MS,
        EffectState.PENDING,
        0,
    )
    assert (known.next_attempt_at_ms, known.position_id) == (NOW_MS, position.position_id)


async def test_effects_move_until_they_are_done(store: Store, owner: Owner) -> None:
    (effect_id,) = (await store.commit(owner, changes(effects=(effect(),)))).effect_ids
    tried = EffectUpdate(
        effect_id=effect_id,
        state=EffectState.ESCALATED,
        attempts=3,
        next_attempt_at_ms=NOW_MS + 1000,
        last_error="no answer",
    )
    await store.commit(owner, changes(effect_updates=(tried,)))
    (known,) = await store.effects(states=(EffectState.ESCALATED,))
    assert (known.attempts, known.next_attempt_at_ms, known.last_error) == (3, NOW_MS + 1000, "no answer")
    assert (await store.commit(owner, changes(effects=(effect(),)))).effect_ids == (effect_id,)
    done = EffectUpdate(
        effect_id=effect_id,
        state=EffectState.DONE,
        attempts=4,
        next_attempt_at_ms=NOW_MS + 1000,
        outcome="cancelled",
        done_at_ms=NOW_MS + 5,
    )
    await store.commit(owner, changes(effect_updates=(done,)))
    assert await store.effects(states=(EffectState.PENDING, EffectState.ESCALATED)) == []
    (known,) = await store.effects(account="main", states=(EffectState.DONE,))
    assert (known.outcome, known.done_at_ms, known.last_error) == ("cancelled", NOW_MS + 5, None)
    with pytest.raises(Conflict, match="effect"):
        await store.commit(owner, changes(effect_updates=(tried,), events=(event(),)))
    assert await store.events() == []
    # Done is done: the same wish later is a new effect.
    (again,) = (await store.commit(owner, changes(effects=(effect(),)))).effect_ids
    assert again != effect_id


async def test_an_unknown_effect_or_hold_is_a_conflict(store: Store, owner: Owner) -> None:
    ghost = EffectUpdate(effect_id=77, state=EffectState.DONE, attempts=1, next_attempt_at_ms=NOW_MS)
    with pytest.raises(Conflict):
        await store.commit(owner, changes(effect_updates=(ghost,)))
    with pytest.raises(Conflict):
        await store.commit(owner, changes(hold_updates=(HoldUpdate(hold_id=77, state=HoldState.OPEN, at_ms=1),)))


async def test_a_standing_hold_is_not_raised_again(store: Store, owner: Owner) -> None:
    raised = await store.commit(owner, changes(holds=(hold(), hold("f-2"), hold(), hold(kind=HoldKind.ADOPTION))))
    first, second, again, other = raised.hold_ids
    assert first == again
    assert len({first, second, other}) == 3
    (known, *_) = await store.holds(account="main", states=(HoldState.OPEN,))
    assert (known.hold_id, known.keys, known.position_ids) == (first, ((LONG.symbol, Side.LONG),), (1,))
    assert (known.summary, known.data, known.raised_at_ms) == ("all at once", {"count": 3, "share": "0.30"}, NOW_MS)
    for state in (HoldState.REJECTED, HoldState.APPROVED):
        moved = HoldUpdate(hold_id=first, state=state, at_ms=NOW_MS + 1, note="looked")
        await store.commit(owner, changes(hold_updates=(moved,)))
        assert (await store.commit(owner, changes(holds=(hold(),)))).hold_ids == (first,)
        (standing,) = await store.holds(states=(state,))
        assert (standing.decided_at_ms, standing.note) == (NOW_MS + 1, "looked")
    for state in (HoldState.WITHDRAWN, HoldState.DONE):
        (raised_id,) = (await store.commit(owner, changes(holds=(hold(),)))).hold_ids
        moved = HoldUpdate(hold_id=raised_id, state=state, at_ms=NOW_MS + 2)
        await store.commit(owner, changes(hold_updates=(moved,)))
        reopened = HoldUpdate(hold_id=raised_id, state=HoldState.OPEN, at_ms=NOW_MS + 3)
        with pytest.raises(Conflict, match="hold"):
            await store.commit(owner, changes(hold_updates=(reopened,)))
        assert (await store.commit(owner, changes(holds=(hold(),)))).hold_ids != (raised_id,)
    assert await store.holds(account="other") == []


async def test_marks_are_set_replaced_and_cleared(store: Store, owner: Owner) -> None:
    gone, changed = mark(), mark(kind=MarkKind.CHANGED, first_at_ms=NOW_MS + 1, detail="0.020")
    await store.commit(owner, changes(marks=(gone, changed, mark(SHORT, first_at_ms=NOW_MS + 2))))
    assert [known.kind for known in await store.marks("main")] == [MarkKind.GONE, MarkKind.CHANGED, MarkKind.GONE]
    more = mark(count=2, last_as_of_ms=NOW_MS + 30_000)
    cleared = ((LONG, MarkKind.CHANGED), (SHORT, MarkKind.GONE), (SHORT, MarkKind.MISSING))
    await store.commit(owner, changes(marks=(more,), clear_marks=cleared))
    assert await store.marks("main") == [more]
    assert await store.marks("other") == []


async def test_observations_of_positions_stay_and_others_are_bounded(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    old = changes(
        now_ms=NOW_MS - 30 * DAY_MS,
        observations=(
            observation(at_ms=NOW_MS - 30 * DAY_MS, position_id=position.position_id, name="close"),
            observation(at_ms=NOW_MS - 30 * DAY_MS),
        ),
    )
    await store.commit(owner, old)
    assert len(await store.observations_of()) == 2
    many = tuple(observation(at_ms=NOW_MS + nth) for nth in range(UNBOUND_KEPT + 5))
    await store.commit(owner, changes(observations=many))
    kept = await store.observations_of(since_ms=NOW_MS)
    assert [seen.at_ms for seen in kept] == [NOW_MS + nth for nth in range(5, UNBOUND_KEPT + 5)]
    (bound,) = await store.observations_of(position.position_id)
    assert (bound.name, bound.account, bound.input, bound.output) == ("close", "main", "{}", "[]")
    assert len(await store.observations_of()) == UNBOUND_KEPT + 1


@pytest.mark.parametrize("strange", ["a\0b", "a\ud800b"])
async def test_a_text_that_no_database_takes_is_written_with_the_replacement_character(
    sql_backend: SqlBackend, strange: str
) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    position = await opened(store, owner, LONG._replace(symbol=strange), opening_order_id=strange)
    committed = await store.commit(
        owner,
        changes(
            orders=(order(position_id=position.position_id, order_id=strange, client_order_id=strange),),
            trades=(trade(position_id=position.position_id, fill=fill(trade_id=strange)),),
            events=(event(symbol=strange, data={"problem": "a\0b"}),),
            effects=(effect(strange),),
            holds=(hold(summary=strange),),
            marks=(mark(LONG._replace(symbol=strange)),),
        ),
    )
    again = await store.commit(owner, changes(effects=(effect(strange),)))
    assert again.effect_ids == committed.effect_ids
    tried = EffectUpdate(
        effect_id=committed.effect_ids[0],
        state=EffectState.ESCALATED,
        attempts=1,
        next_attempt_at_ms=NOW_MS,
        last_error=strange,
    )
    decided = HoldUpdate(hold_id=committed.hold_ids[0], state=HoldState.REJECTED, at_ms=NOW_MS, note=strange)
    await store.commit(owner, changes(effect_updates=(tried,), hold_updates=(decided,)))
    await store.set_account_states({"main": (strange, NOW_MS)})
    [known] = await store.orders_of(position.position_id)
    [traded] = await store.trades_of(position.position_id)
    [kept] = await store.effects()
    [held] = await store.holds()
    [told] = await store.events()
    [seen] = await store.marks("main")
    assert told.data == {"problem": "a\0b"}
    assert {
        position.key.symbol,
        position.opening_order_id,
        known.order_id,
        known.client_order_id,
        traded.fill.trade_id,
        kept.dedup_key,
        kept.last_error,
        held.summary,
        held.note,
        told.symbol,
        seen.key.symbol,
        (await store.account_states())["main"][0],
    } == {"a\ufffdb"}
