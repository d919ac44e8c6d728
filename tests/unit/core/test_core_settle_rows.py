"""From verdicts to rows, trades, orders, effects and events of one transaction (lessons 4 to 8, 15, 16, 23)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    ACCOUNT,
    BUY,
    HOUR,
    LONG,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    fill,
    history,
    hold,
    mark_of,
    policy,
    record,
    recorded_order,
    report,
    row,
    situation,
)
from settle_cases import (
    KEY,
    adopted,
    changes,
    closed_by_fills,
    closed_on_absence,
    contradiction,
    decide,
    event,
    failing,
    missing_mark,
    reopened,
    seen_row,
    settled,
    types,
)

from trueup.core.agreement import Agreed, agree
from trueup.core.cases import Case, Ignore, KnownOrder, LeaveYoung, LookAgain, NeedsHistory
from trueup.core.decide import decide_key
from trueup.core.rebuild import endings
from trueup.model.effects import AmendClose, CancelOrder, EffectKind
from trueup.model.events import EventType, Severity
from trueup.model.holds import HoldKind, HoldState, MarkKind
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import OrderKind, OrderList, OrderStatus
from trueup.model.positions import AccountMode, Amount, Evidence, Origin, Position, PositionStatus
from trueup.model.values import from_json

D = Decimal

# a close


def test_a_close_is_one_transaction_of_row_trades_exit_order_and_events() -> None:  # lessons 4, 23
    about, verdict = closed_by_fills()
    result = settled((about, verdict))
    (close,) = result.closes
    assert (close.position_id, close.version, close.amends) == (7, 3, False)
    assert close.details.realized_pnl == D(80)
    assert (close.entry_price, close.opened_at_ms, close.opening_order_id) == (D(100), T0, "open")
    assert (close.contract_size, close.symbol) == (D(1), None)
    assert [(t.fill.trade_id, t.opening, t.quantity, t.realized_pnl) for t in result.trades] == [
        ("900001", True, D(5), None),
        ("900002", False, D(2), D(20)),
        ("900003", False, D(3), D(60)),
    ]
    assert result.trades[0].fees == Amount(asset="USDT", amount=D("0.2"))
    assert all(trade.position_id == 7 for trade in result.trades)
    (closed,) = result.closed
    assert (closed.status, closed.quantity, closed.realized_pnl) == (PositionStatus.CLOSED, D(5), D(80))
    assert closed.entry_price == D(100)
    (observation,) = result.observations
    assert (observation.name, observation.position_id) == ("decide_key", 7)
    assert decide_key(from_json(observation.input, Case)) == verdict
    assert result.effects == []


def test_the_exit_order_has_its_own_average_and_not_the_lifecycles() -> None:
    (order,) = settled(closed_by_fills()).orders
    assert (order.order_id, order.is_exit, order.closing, order.status) == ("exit", True, True, OrderStatus.FILLED)
    assert (order.quantity, order.filled_quantity, order.average_price) == (D(3), D(3), D(120))
    assert (order.kind, order.order_list, order.order_side) == (OrderKind.OTHER, OrderList.REGULAR, SELL)


def test_a_closed_row_reads_with_the_entry_that_its_fills_tell() -> None:
    """A bot wrote its own estimate of the entry; where no fill tells it, it stays."""
    (told,) = settled(closed_by_fills(row(entry="99"))).closed
    assert told.entry_price == D(100)
    unknown = closed_on_absence()
    assert [each.entry_price for each in settled(unknown).closed] == [D(100)]


def test_what_a_fill_does_not_say_of_its_fee_is_recorded_as_unknown() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", fee=None),
        msgspec.structs.replace(fill(SELL, "5", "110", T0 + HOUR, pnl="50", fee="0.3"), fee_asset=None),
    ]
    result = settled(decide(case(row(), None, history(fills))))
    assert [trade.fees for trade in result.trades] == [None, None]
    assert result.closes[0].details.net_pnl is None


def test_the_exit_order_is_of_the_kind_that_its_fill_states() -> None:
    """Bybit states kind and client order id with the fill; nothing else may know the order."""
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "5", "90", T0 + HOUR, closed="5", order="exit", order_kind=OrderKind.STOP, client="bot-9"),
    ]
    (order,) = settled(decide(case(row(), None, history(fills)))).orders
    assert (order.kind, order.client_order_id, order.ours) == (OrderKind.STOP, "bot-9", False)


def test_the_exit_order_keeps_what_the_store_knew_of_it() -> None:
    recorded = [
        recorded_order("another", kind=OrderKind.TRAILING_STOP, lists=OrderList.ATTACHED),
        recorded_order("exit", kind=OrderKind.STOP, ours=True),
    ]
    (order,) = settled(closed_by_fills(), where=situation(recorded=recorded)).orders
    assert (order.order_id, order.kind, order.order_list, order.ours) == (
        "exit",
        OrderKind.STOP,
        OrderList.CONDITIONAL,
        True,
    )


def test_the_exit_order_by_order_evidence_says_what_its_record_says() -> None:
    known = KnownOrder(order_id="s1", client_order_id=None, kind=OrderKind.STOP, ours=False)
    past = history([fill(BUY, "5", "100", T0)], orders=[record("s1", at=T0 + HOUR, client="c")])
    result = settled(decide(case(row(), None, past, orders=[known])))
    (order,) = result.orders
    assert (order.filled_quantity, order.average_price, order.client_order_id) == (D(5), D(110), "c")
    assert order.kind is OrderKind.STOP


def test_a_bots_symbol_becomes_the_unified_one() -> None:
    result = settled(closed_by_fills(row(written_symbol="BTCUSDT")))
    assert result.closes[0].symbol == "BTC/USDT:USDT"


def test_the_originals_events_have_exactly_their_data_keys() -> None:
    result = settled(closed_by_fills(row(has_trailing_stop=True)))
    assert types(result) == [
        EventType.PHANTOM_POSITION_DETECTED,
        EventType.PHANTOM_POSITION_CLOSED,
        EventType.POSITION_CLOSED,
        EventType.TRAILING_STOP_REMOVED,
    ]
    phantom = event(result, EventType.PHANTOM_POSITION_CLOSED)
    assert phantom.severity is Severity.WARNING
    assert phantom.data == {
        "symbol": "BTC/USDT:USDT",
        "exchange": "binanceusdm",
        "position_id": 7,
        "reason": "not_on_exchange",
    }
    assert event(result, EventType.PHANTOM_POSITION_DETECTED).data == phantom.data
    removed = event(result, EventType.TRAILING_STOP_REMOVED)
    assert removed.severity is Severity.INFO
    assert removed.data == {
        "symbol": "BTC/USDT:USDT",
        "position_id": 7,
        "reason": "position_closed",
        "realized_pnl": "80",
    }
    assert all((e.account, e.position_id, e.at_ms) == (ACCOUNT, 7, VIEW + 100) for e in result.events)


def test_our_own_account_of_a_close_names_every_amount() -> None:
    data = event(settled(closed_by_fills()), EventType.POSITION_CLOSED).data
    assert set(data) == {
        "quantity",
        "exit_price",
        "settle_asset",
        "realized_pnl",
        "fees",
        "funding",
        "net_pnl",
        "exit_reason",
        "evidence",
        "estimated",
        "complete",
        "closing_order_id",
        "closed_at_ms",
        "why",
    }
    assert (data["exit_price"], data["realized_pnl"], data["net_pnl"]) == ("116", "80", "79.4")
    assert data["fees"] == [{"asset": "USDT", "amount": "0.6"}]


def test_a_close_on_absence_is_told_as_such() -> None:
    result = settled(closed_on_absence())
    assert EventType.CLOSED_ON_ABSENCE in types(result)
    data = event(result, EventType.POSITION_CLOSED).data
    assert (data["estimated"], data["evidence"], data["realized_pnl"]) == (True, "absence", None)
    assert result.clear_marks == [(KEY, MarkKind.GONE)]


# effects


def test_a_close_whose_funding_could_not_be_read_is_looked_at_again() -> None:
    """Else its net profit would stay unknown for ever."""
    about, _ = closed_by_fills()
    assert about.history is not None
    unread = msgspec.structs.replace(about, history=msgspec.structs.replace(about.history, funding=None))
    (effect,) = settled(decide(unread)).effects
    assert (effect.kind, effect.dedup_key, effect.position_id) == (EffectKind.AMEND_CLOSE, "amend:7", 7)
    assert settled(closed_by_fills()).effects == []


def test_in_protect_mode_the_ended_lifecycles_own_stops_are_to_go() -> None:  # lessons 15, 16
    recorded = [
        recorded_order("mine"),
        recorded_order("other-lifecycle", position_id=8),
        recorded_order("entry", closing=False),
        recorded_order("attached", lists=OrderList.ATTACHED),
        recorded_order("gone", status=OrderStatus.UNKNOWN),
        recorded_order("exit"),
    ]
    result = settled(closed_by_fills(), where=situation(mode=AccountMode.PROTECT, recorded=recorded))
    (effect,) = result.effects
    assert (effect.kind, effect.position_id) == (EffectKind.CANCEL_ORDER, 7)
    assert effect.dedup_key == "cancel:BTC/USDT:USDT:mine"
    cancel = from_json(effect.payload, CancelOrder)
    assert (cancel.order_id, cancel.side, cancel.order_list) == ("mine", LONG, OrderList.CONDITIONAL)
    assert (cancel.trigger_price, cancel.quantity, cancel.reason) == (D(90), None, "position_closed")


@pytest.mark.parametrize("mode", [AccountMode.SYNC, AccountMode.OBSERVE])
def test_outside_protect_mode_nothing_is_cancelled(mode: AccountMode) -> None:
    result = settled(closed_by_fills(), where=situation(mode=mode, recorded=[recorded_order("mine")]))
    assert result.effects == []


def test_a_dry_run_in_protect_mode_cancels_nothing() -> None:
    where = situation(mode=AccountMode.PROTECT, applies=False, recorded=[recorded_order("mine")])
    assert settled(closed_by_fills(), where=where).effects == []


def test_the_conditional_order_that_triggered_is_not_cancelled() -> None:
    """Its child closed the position: the parent is over too, and is recorded so."""
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "5", "90", T0 + HOUR, pnl="-50", order="child")]
    past = history(fills, orders=[record("child", parent="s1", kind=OrderKind.STOP)])
    where = situation(mode=AccountMode.PROTECT, recorded=[recorded_order("s1"), recorded_order("s2")])
    result = settled(decide(case(row(), None, past)), where=where)
    assert [effect.dedup_key for effect in result.effects] == ["cancel:BTC/USDT:USDT:s2"]
    assert ("BTC/USDT:USDT", "s1", OrderStatus.TRIGGERED) in result.forget_orders


@pytest.mark.parametrize(
    ("asked", "closed_ago_ms", "soon"),
    [(("orders", "funding"), 120_000, None), (("orders", "funding"), 1_000, False)],
    ids=["all-is-known", "funding-may-be-credited-late"],
)
def test_a_close_of_which_more_may_be_told_leaves_a_reminder(
    asked: tuple[str, ...], closed_ago_ms: int, soon: bool | None
) -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "110", VIEW + 60 - closed_ago_ms, pnl="50", order="exit"),
    ]
    about = case(seen_row(), None, history(fills, asked=asked), as_of=VIEW + 60)
    told = [one for one in settled(decide(about)).effects if one.kind is EffectKind.AMEND_CLOSE]
    assert [from_json(one.payload, AmendClose).soon for one in told] == ([] if soon is None else [soon])


# several lifecycles


def test_closed_and_reopened_closes_the_one_and_inserts_the_other() -> None:  # lesson 7
    result = settled(reopened())
    assert [close.details.realized_pnl for close in result.closes] == [D(15)]
    (new,) = result.opens
    assert (new.close, new.quantity, new.entry_price, new.opening_order_id) == (None, D(5), D(104), "again")
    assert (new.origin, new.unverified, new.venue_updated_at_ms) == (Origin.ADOPTED, False, T0 + 2 * HOUR)
    assert (new.verified_as_of_ms, new.current_price) == (VIEW, D(105))
    assert [position.quantity for position in result.added] == [D(5)]
    assert EventType.MISSING_POSITION_ADDED in types(result)


@pytest.mark.parametrize("kind", ["closed and reopened", "flip and back"])
def test_what_is_recorded_for_a_successor_can_be_decided_again(kind: str) -> None:
    about, verdict = reopened()
    if kind == "flip and back":
        about, verdict = _flip_and_back()
    for observation in settled((about, verdict)).observations:
        again = decide_key(from_json(observation.input, Case))
        assert again == verdict
        assert f'"verdict":"{type(again).__name__}"' in observation.output


def _flip_and_back():
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, pnl="15"),
    ]
    return decide(case(seen_row(), None, history(fills)))


def test_a_lifecycle_between_two_looks_is_inserted_as_it_ended() -> None:  # lesson 6
    result = settled(_flip_and_back())
    (new,) = result.opens
    assert (new.key.side, new.quantity, new.realized_pnl) == (SHORT, D(3), D(15))
    assert new.close is not None
    assert new.close.evidence is Evidence.FILLS
    assert [(p.side, p.position_id) for p in result.added_closed] == [(SHORT, 0)]
    assert not new.unverified
    exits = [order for order in result.orders if order.key == new.key]
    assert [(order.is_exit, order.order_side) for order in exits] == [(True, BUY)]
    added = event(result, EventType.MISSING_POSITION_ADDED)
    assert added.data["why"] == "opened and closed between two looks"
    # The flip's fill is a trade of both, each with its part.
    parts = [trade.quantity for trade in result.trades if trade.fill.quantity == D(8)]
    assert parts == [D(5), D(3)]


def test_a_lifecycle_between_two_looks_right_after_the_rows_own_is_inserted() -> None:
    """Closed and reopened within the time that clocks may differ: the row that closes now is none that may be its."""
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "103", T0 + 10_000, pnl="15"),
        fill(BUY, "5", "104", T0 + 20_000, pnl="0"),
        fill(SELL, "5", "106", T0 + 30_000, pnl="10"),
    ]
    result = settled(decide(case(seen_row(), None, history(fills))))
    assert [close.details.realized_pnl for close in result.closes] == [D(15)]
    assert [new.realized_pnl for new in result.opens] == [D(10)]


@pytest.mark.parametrize(
    ("what", "applies"), [("hold", True), ("ignore", True), ("adopt", False)], ids=["hold", "ignore", "dry run"]
)
def test_a_lifecycle_between_two_looks_is_inserted_only_where_trueup_may_adopt(what: str, applies: bool) -> None:
    about, _ = _flip_and_back()
    decided = decide(msgspec.structs.replace(about, policy=policy(what)))
    result = settled(decided, where=situation(applies=applies))
    assert len(result.closed) == 1
    assert (result.opens, result.added_closed) == ([], [])


@pytest.mark.parametrize(
    ("evidence", "later_ms", "by_order", "inserted"),
    [
        (Evidence.FILLS, 0, True, 0),
        (Evidence.FILLS, 5, True, 1),
        (Evidence.ORDER, 5, True, 0),
        (Evidence.CLOSED_PNL, 1_001, True, 1),
        (Evidence.ABSENCE, 90_000, False, 0),
    ],
)
def test_a_lifecycle_between_two_looks_that_has_its_row_already_is_not_inserted_again(
    evidence: Evidence, later_ms: int, by_order: bool, inserted: int
) -> None:
    """Found by the simulation: the short was adopted and ended while the bot's young long row still waited."""
    verdict = _flip_and_back()
    (new,) = settled(verdict).opens
    assert new.close is not None
    told = msgspec.structs.replace(
        new.close,
        evidence=evidence,
        closed_at_ms=new.close.closed_at_ms + later_ms,
        closing_order_id=new.close.closing_order_id if by_order else None,
    )
    other = row(SHORT, "3", opened=T0 + HOUR, position_id=8, status=PositionStatus.CLOSED, close=told)
    result = settled(verdict, where=situation(ended=endings([other, seen_row()])))
    assert [close.position_id for close in result.closes] == [7]
    assert len(result.opens) == inserted


def test_a_lifecycle_that_is_another_rows_own_is_not_inserted_a_second_time() -> None:
    """One way: the book has both sides, the flip closed the long, the short is over as well."""
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50", order="flip"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, pnl="15"),
    ]
    past = history(fills)
    long_row = seen_row()
    short_row = row(SHORT, "3", opened=T0 + HOUR, position_id=8)
    result = settled(decide(case(long_row, None, past)), decide(case(short_row, None, past)))
    assert sorted(close.position_id for close in result.closes) == [7, 8]
    assert result.opens == []


@pytest.mark.parametrize(
    ("short_row", "inserted"),
    [
        (row(SHORT, "3", opened=T0 + HOUR, seen=T0 + HOUR + 1, order="flip", position_id=8), 0),
        (row(SHORT, "3", opened=T0 + HOUR, position_id=8), 0),
        (row(SHORT, "3", opened=T0 + HOUR, seen=T0 + HOUR + 1, order="another", position_id=8), 1),
        (row(SHORT, "3", opened=T0 + 3 * HOUR, position_id=8), 1),
        (row(SHORT, "3", opened=T0 + HOUR, symbol="ETH/USDT:USDT", position_id=8), 1),
    ],
)
def test_a_lifecycle_whose_row_cannot_be_decided_now_is_left_to_it(short_row: Position, inserted: int) -> None:
    """Found by the simulation, seed 22908: the history of the one side could be read, that of the other could not."""
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50", order="flip"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, pnl="15"),
    ]
    result = settled(decide(case(seen_row(), None, history(fills))), failing(short_row))
    assert [close.position_id for close in result.closes] == [7]
    assert len(result.opens) == inserted


def test_two_rows_of_one_line_insert_each_lifecycle_between_once() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50"),
        fill(BUY, "4", "105", T0 + 2 * HOUR, pnl="15"),
        fill(SELL, "1", "106", T0 + 3 * HOUR, pnl="1"),
    ]
    past = history(fills)
    short_row = row(SHORT, "3", opened=T0 + HOUR, position_id=8)
    result = settled(decide(case(seen_row(), None, past)), decide(case(short_row, None, past)))
    assert [(new.key.side, new.realized_pnl) for new in result.opens] == [(LONG, D(1))]


def test_successors_are_adopted_as_the_operator_chose() -> None:
    assert settled(reopened(rules=policy("ignore"))).opens == []
    held = settled(reopened(rules=policy("hold")))
    assert (held.opens, [group.kind.value for group in held.held]) == ([], ["adoption"])
    assert len(held.closes) == 1


def test_a_bot_is_given_time_to_write_the_row_of_what_it_reopened() -> None:
    result = settled(reopened(rules=policy(after_ms=60_000)))
    assert (len(result.closes), result.opens, result.added) == (1, [], [])
    assert [found.symbol for found in result.rejected] == ["BTC/USDT:USDT"]
    (mark,) = result.marks
    assert (mark.kind, mark.count, mark.first_at_ms) == (MarkKind.MISSING, 1, VIEW)
    assert result.wait_ms == 60_000
    told = event(result, EventType.MISSING_POSITION_REJECTED)
    assert told.data["reason"] == "reopened; a bot is given 60 s to write its own row"


# adoption


def test_an_adoption_inserts_the_row_with_what_the_venue_says() -> None:
    result = settled(adopted())
    (new,) = result.opens
    assert (new.key, new.venue, new.origin) == (KEY, "binanceusdm", Origin.ADOPTED)
    assert (new.quantity, new.entry_price, new.current_price) == (D(5), D(100), D(101))
    assert (new.opened_at_ms, new.opening_order_id, new.unverified) == (T0, "open", False)
    assert [trade.key for trade in result.trades] == [KEY]
    told = event(result, EventType.MISSING_POSITION_ADDED)
    assert (told.severity, told.key, told.data["position_id"]) == (Severity.INFO, KEY, None)
    assert [position.position_id for position in result.added] == [0]
    assert result.added_closed == []


def test_an_unverified_adoption_is_a_warning_and_ends_its_mark() -> None:
    about = case(None, report(), history(), mark=missing_mark())
    result = settled(decide(about))
    (new,) = result.opens
    assert (new.unverified, new.opening_order_id, new.opened_at_ms) == (True, None, VIEW)
    assert event(result, EventType.MISSING_POSITION_ADDED).severity is Severity.WARNING
    assert result.clear_marks == [(KEY, MarkKind.MISSING)]


def test_a_rejection_is_told_once_and_counted() -> None:
    first = settled(decide(case(None, report(), history())))
    assert types(first) == [EventType.MISSING_POSITION_REJECTED]
    assert (first.marks[0].count, first.wait_ms, len(first.rejected)) == (1, 30_000, 1)
    again = decide(case(None, report(), history(failed="503"), mark=missing_mark()))
    assert types(settled(again)) == []


def test_what_is_ignored_leaves_no_trace() -> None:
    about = case(None, report(), rules=policy("ignore"))
    assert changes(settled((about, Ignore(report=report())))).is_empty


# verified and changed


def test_a_first_verification_is_told_and_written() -> None:
    result = settled(decide(case(row(), report(changed=T0, mark="101"))))
    assert types(result) == [EventType.POSITION_VERIFIED]
    (update,) = result.updates
    assert (update.contract_size, update.current_price, update.verified_as_of_ms) == (D(1), D(101), VIEW)
    assert (update.venue_updated_at_ms, update.clear) == (T0, ())
    (shown,) = result.verified
    assert (shown.current_price, shown.contract_size) == (D(101), D(1))


def test_an_in_sync_row_writes_nothing() -> None:
    result = settled(decide(case(seen_row(seen=VIEW - 1000), report(changed=T0))))
    assert changes(result).is_empty
    assert len(result.verified) == 1


def test_a_change_time_whose_fills_may_lag_is_not_written() -> None:
    book = seen_row(seen=VIEW - 90_000)
    result = settled(decide(case(book, report(changed=VIEW - 1000), history([fill(BUY, "5", "100", T0)]))))
    (update,) = result.updates
    assert (update.venue_updated_at_ms, update.verified_as_of_ms) == (None, VIEW)


def test_a_mark_price_that_is_not_known_keeps_the_last_one() -> None:
    (shown,) = settled(decide(case(row(current_price=D(99)), report(changed=T0)))).verified
    assert shown.current_price == D(99)


def test_seen_again_clears_suspicion_and_mark() -> None:
    book = seen_row(suspected_since_ms=VIEW - 5000)
    result = settled(decide(case(book, report(changed=T0), mark=mark_of(book))))
    assert types(result) == [EventType.SUSPICION_CLEARED]
    assert result.updates[0].clear == ("suspected_since_ms",)
    assert result.clear_marks == [(KEY, MarkKind.GONE)]


def test_a_row_that_the_bot_wrote_meanwhile_ends_the_missing_mark_without_a_word_of_suspicion() -> None:
    result = settled(decide(case(row(), report(changed=T0), mark=missing_mark())))
    assert types(result) == [EventType.POSITION_VERIFIED]
    assert result.clear_marks == [(KEY, MarkKind.MISSING)]


def test_a_partial_close_updates_quantity_profit_and_trades() -> None:  # lesson 5
    fills = [fill(BUY, "5", "100", T0, pnl="0", order="open"), fill(SELL, "2", "110", T0 + HOUR, pnl="20")]
    result = settled(decide(case(seen_row(), report(LONG, "3", changed=T0 + HOUR), history(fills))))
    (update,) = result.updates
    assert (update.quantity, update.realized_pnl, update.opening_order_id) == (D(3), D(20), "open")
    assert update.clear == ("suspected_since_ms",)
    assert (update.venue_updated_at_ms, update.verified_as_of_ms) == (T0 + HOUR, VIEW)
    assert [trade.quantity for trade in result.trades] == [D(5), D(2)]
    told = event(result, EventType.QUANTITY_MISMATCH_DETECTED)
    assert (told.severity, told.data["previous_quantity"], told.data["quantity"]) == (Severity.WARNING, "5", "3")
    assert told.data["realized_pnl"] == "20"
    (change,) = result.changed
    assert (change.previous_quantity, change.position.quantity) == (D(5), D(3))
    assert len(result.observations) == 1


def test_a_corrected_entry_has_its_own_event() -> None:  # lesson 8
    result = settled(decide(case(row(entry="99"), report(changed=T0), history([fill(BUY, "5", "100", T0)]))))
    data = event(result, EventType.ENTRY_PRICE_CORRECTED).data
    assert (data["previous_entry_price"], data["entry_price"], data["explained"]) == ("99", "100", True)
    assert (len(result.verified), result.changed) == (1, [])


# suspicion


def test_suspicion_marks_the_row_and_is_told_once() -> None:
    result = settled(decide(case(row(), None, history())))
    assert types(result) == [EventType.POSITION_SUSPECTED]
    (update,) = result.updates
    assert (update.suspected_since_ms, update.quantity) == (VIEW + 100, None)
    assert [mark.kind for mark in result.marks] == [MarkKind.GONE]
    assert [position.suspected_since_ms for position in result.suspected] == [VIEW + 100]
    assert result.wait_ms == 30_000

    book = row(suspected_since_ms=T0)
    again = settled(failing(book, mark_of(book)))
    assert (types(again), again.updates) == ([], [])
    assert [position.suspected_since_ms for position in again.suspected] == [T0]


def test_another_kind_of_difference_takes_the_marks_place() -> None:
    book = seen_row()
    changed = mark_of(book, MarkKind.CHANGED, detail="3@100")
    result = settled(decide(case(book, None, history(), mark=changed)))
    assert result.clear_marks == [(KEY, MarkKind.CHANGED)]
    assert [mark.kind for mark in result.marks] == [MarkKind.GONE]


def test_a_contradiction_at_first_sight_changes_the_row_once() -> None:
    """Where durations are zero, hold and suspicion come with the same look."""
    rules = policy(confirm_after_ms=0, confirm_snapshots=1)
    result = settled(contradiction(confirmed=False, rules=rules))
    assert [update.position_id for update in result.updates] == [7]
    assert [hold.kind.value for hold in result.holds] == ["inconclusive"]


def test_a_contradiction_confirmed_while_the_account_was_paused_changes_the_row_once() -> None:
    result = settled(contradiction())  # the mark was counted, the row was not written
    assert [update.position_id for update in result.updates] == [7]


def test_a_young_row_is_shown_and_looked_at_again() -> None:
    young = row(opened=VIEW - 10_000)
    about = case(young, None, history(), surface=SurfaceVerdict.FLAT)
    verdict = decide_key(about)
    assert isinstance(verdict, LeaveYoung)
    result = settled((about, verdict))
    assert changes(result).is_empty
    assert ([p.position_id for p in result.suspected], result.wait_ms) == ([7], verdict.wait_ms)


def test_a_view_that_stays_too_old_is_shown_and_writes_nothing() -> None:
    result = settled((case(row(), None), LookAgain(why="older")))
    assert changes(result).is_empty
    assert (result.look_again, [p.position_id for p in result.suspected]) == (["older"], [7])


def test_the_shortest_wait_is_kept() -> None:
    other = row(position_id=8, symbol="ETH/USDT:USDT")
    standing = mark_of(other, first=VIEW - 20_000)
    result = settled(
        decide(case(row(), None, history())),
        decide(case(other, None, history(symbol="ETH/USDT:USDT"), mark=standing)),
    )
    assert (len(result.suspected), result.wait_ms) == (2, 10_000)


def test_settling_before_the_history_was_read_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="before its history was read"):
        settled((case(row(), None), NeedsHistory(since_ms=0, why="x")))


# marks of what is no longer looked at


def test_marks_of_keys_that_neither_side_has_any_more_are_cleared() -> None:
    """A position that vanished before it was adopted: months later another one must not count as seen before."""
    gone = mark_of(report(symbol="ETH/USDT:USDT"), MarkKind.MISSING, detail="")
    naked = mark_of(report(symbol="XRP/USDT:USDT"), MarkKind.UNPROTECTED, detail="")
    mine = mark_of(row())
    result = settled(
        decide(case(seen_row(seen=VIEW - 1000), report(changed=T0))), where=situation(marks=(gone, naked, mine))
    )
    assert result.clear_marks == [(gone.key, MarkKind.MISSING), (naked.key, MarkKind.UNPROTECTED)]


def test_a_closed_row_leaves_no_word_of_missing_protection() -> None:
    naked = mark_of(row(), MarkKind.UNPROTECTED, detail="")
    result = settled(closed_by_fills(), where=situation(marks=(naked,)))
    assert (KEY, MarkKind.UNPROTECTED) in result.clear_marks


def test_a_position_that_stays_open_keeps_its_word_of_missing_protection() -> None:
    """Since when it has no stop is told by the mark: cleared at every look it would never be alarming."""
    naked = mark_of(row(), MarkKind.UNPROTECTED, detail="")
    result = settled(decide(case(seen_row(seen=VIEW - 1000), report(changed=T0))), where=situation(marks=(naked,)))
    assert result.clear_marks == []
    agreed, _ = agreeing()
    assert settled(where=situation(marks=(naked,), agreed=agreed)).clear_marks == []


# rows that needed no verdict


def test_rows_that_agree_are_verified_in_the_books_order_beside_the_others() -> None:
    agreed, book = agreeing()
    other = seen_row(position_id=3, symbol="ETH/USDT:USDT")
    about = case(other, report(symbol="ETH/USDT:USDT", changed=T0, mark="9"))
    result = settled(decide(about), where=situation(agreed=agreed))
    assert [each.position_id for each in result.all_verified] == [3, book.position_id]
    assert [each.current_price for each in result.all_verified] == [D(9), D(104)]
    alone = settled(decide(about))
    assert [each.position_id for each in alone.all_verified] == [3]


def test_a_row_that_agrees_ends_what_a_person_refused_of_it() -> None:
    """It is seen: what was refused may be asked anew when it vanishes again."""
    agreed, _ = agreeing()
    rejected = hold(HoldKind.INCONCLUSIVE, HoldState.REJECTED, "7:x")
    result = settled(where=situation(holds=[rejected], agreed=agreed))
    assert [(update.hold_id, update.state) for update in result.hold_updates] == [(41, HoldState.WITHDRAWN)]
    adoption = hold(HoldKind.ADOPTION, HoldState.REJECTED, "x")
    assert settled(where=situation(holds=[adoption], agreed=agreed)).hold_updates == []


def agreeing() -> tuple[Agreed, Position]:
    """A row that the view shows just as the book has it."""
    book = seen_row(seen=VIEW - 1000)
    shown = report(changed=T0, mark="104")
    agreed, undecided = agree({book.key: book}, {book.key: shown}, as_of_ms=VIEW, refresh_after_ms=60_000, doubtful=())
    assert undecided == []
    return agreed, book
