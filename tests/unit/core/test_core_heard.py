"""What a stream said, decided by the same rules as a look: which of it proves something, and which waits."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest

from tests.unit.core.core_cases import BUY, LINEAR, LONG, POLICY, SELL, SHORT, T0, VIEW, fill, policy, report, row
from trueup.core.cases import Adjust, Adopt, Case, Close, Verified
from trueup.core.decide import decide_key
from trueup.core.heard import flipped_case, heard_case, is_provable, speaks_until_ms
from trueup.model.orders import Fill, OrderKind, OrderRecord, OrderSide, OrderStatus, Side
from trueup.model.positions import Evidence, ExitReason, Position
from trueup.model.stream import StreamPosition

NOW = VIEW + 5_000
OPENED = fill(BUY, "5", "100", T0, order="open")
BOOK = row(quantity="5", seen=VIEW, changed=T0, order="open")


def slot(
    quantity: str = "0",
    side: Side | None = None,
    *,
    at: int | None = NOW,
    leg: Side | None = None,
    sequence: int | None = None,
) -> StreamPosition:
    open_as = report(side, quantity, hedge=leg is not None, changed=at) if side is not None else None
    return StreamPosition(
        symbol=BOOK.symbol,
        leg=leg,
        side=side,
        quantity=Decimal(quantity),
        entry_price=open_as.entry_price if open_as is not None else None,
        at_ms=at,
        told_ms=NOW,
        sequence=sequence,
        report=open_as,
    )


def case_of(
    *slots: StreamPosition,
    heard: Sequence[Fill] = (),
    recorded: Sequence[Fill] = (OPENED,),
    book: Position = BOOK,
    orders: Sequence[OrderRecord] = (),
    opening: tuple[str, Decimal] | None = None,
) -> Case | None:
    return heard_case(
        book,
        LINEAR,
        POLICY,
        slots=slots,
        heard=heard,
        recorded=recorded,
        orders=orders,
        known_orders=(),
        now_ms=NOW,
        opening=opening,
    )


def known_case(*slots: StreamPosition, **more: object) -> Case:
    case = case_of(*slots, **more)  # type: ignore[arg-type]
    assert case is not None
    return case


def numbered(one: Fill, sequence: int) -> Fill:
    return msgspec.structs.replace(one, sequence=sequence)


def decided(*slots: StreamPosition, **more: object) -> object:
    return decide_key(known_case(*slots, **more))


def test_fills_to_zero_and_the_slot_flat_after_them_close() -> None:
    verdict = decided(slot(), heard=[fill(SELL, "5", "110", NOW, order="exit")])
    assert isinstance(verdict, Close)
    assert is_provable(verdict)
    assert verdict.details.realized_pnl == Decimal(50)
    assert verdict.details.complete
    assert verdict.details.funding is None


def test_a_flat_slot_without_a_fill_closes_nothing() -> None:
    assert not is_provable(decided(slot()))  # type: ignore[arg-type]


def test_fills_without_the_slot_are_no_case() -> None:
    assert case_of(heard=[fill(SELL, "5", "110", NOW)]) is None


def test_a_fill_newer_than_its_slot_waits_for_it() -> None:
    assert case_of(slot(at=NOW - 1), heard=[fill(SELL, "5", "110", NOW)]) is None


def test_a_missing_fill_shows_and_closes_nothing() -> None:
    verdict = decided(slot(), heard=[fill(SELL, "2", "110", NOW)])
    assert not is_provable(verdict)  # type: ignore[arg-type]


def test_a_row_whose_beginning_is_not_recorded_is_left_to_a_look() -> None:
    assert case_of(slot(), heard=[fill(SELL, "5", "110", NOW)], recorded=()) is None


def test_a_fill_that_was_heard_and_recorded_counts_once() -> None:
    verdict = decided(slot(), heard=[OPENED, fill(SELL, "5", "110", NOW)])
    assert isinstance(verdict, Close)
    assert verdict.details.quantity == Decimal(5)


def test_fills_of_an_earlier_lifecycle_do_not_disturb() -> None:
    earlier = [fill(BUY, "9", "90", T0 - 2_000), fill(SELL, "9", "95", T0 - 1_000)]
    verdict = decided(slot(), heard=[*earlier, fill(SELL, "5", "110", NOW)])
    assert isinstance(verdict, Close)
    assert verdict.details.quantity == Decimal(5)


def test_a_reduction_is_explained_by_its_fill() -> None:
    verdict = decided(slot("3", LONG), heard=[fill(SELL, "2", "110", NOW)])
    assert isinstance(verdict, Adjust)
    assert is_provable(verdict)
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.realized_pnl == Decimal(20)


def test_nothing_that_moved_is_verified() -> None:
    assert isinstance(decided(slot("5", LONG)), Verified)


def test_a_flip_closes_one_side_and_opens_the_other() -> None:
    case = case_of(slot("3", SHORT), heard=[fill(SELL, "8", "110", NOW, order="flip")])
    assert case is not None
    first = decide_key(case)
    assert isinstance(first, Close)
    assert first.details.quantity == Decimal(5)
    other = flipped_case(case)
    assert other is not None
    second = decide_key(other)
    assert isinstance(second, Adopt)
    assert is_provable(second)
    assert second.lifecycle is not None
    assert second.lifecycle.opening_order_id == "flip"


def test_what_a_flip_opened_is_closed_by_what_the_book_recorded_of_it() -> None:
    """The flip's fill is known whole: of what it closed before nothing is known here but the part that the book has."""
    flip = fill(BUY, "8", "100", T0, order="open", trade="f1")
    exits = [fill(SELL, "5", "110", NOW)]
    known = decided(slot(), heard=exits, recorded=[flip], opening=("f1", Decimal(5)))
    assert isinstance(known, Close)
    assert is_provable(known)
    assert known.details.quantity == Decimal(5)
    for other in (None, ("f1", Decimal(8))):
        assert not is_provable(decided(slot(), heard=exits, recorded=[flip], opening=other))  # type: ignore[arg-type]


def test_a_flip_waits_for_a_bot_that_writes_its_own_rows() -> None:
    case = heard_case(
        BOOK,
        LINEAR,
        policy(after_ms=5_000),
        slots=[slot("3", SHORT)],
        heard=[fill(SELL, "8", "110", NOW)],
        recorded=[OPENED],
        orders=(),
        known_orders=(),
        now_ms=NOW,
    )
    assert case is not None
    other = flipped_case(case)
    assert other is not None
    assert not is_provable(decide_key(other))


def test_a_one_way_slot_is_not_believed_beside_fills_that_tell_legs() -> None:
    opened = fill(BUY, "5", "100", T0, order="open", leg=LONG)
    assert case_of(slot(), heard=[fill(SELL, "5", "110", NOW, leg=LONG)], recorded=[opened]) is None


def test_a_leg_is_closed_by_its_own_slot_and_fills() -> None:
    opened = fill(BUY, "5", "100", T0, order="open", leg=LONG)
    heard = [fill(SELL, "5", "110", NOW, leg=LONG), fill(SELL, "4", "110", NOW + 50, leg=SHORT)]
    verdict = decided(slot(leg=LONG), slot("4", SHORT, leg=SHORT, at=NOW + 50), heard=heard, recorded=[opened])
    assert isinstance(verdict, Close)
    assert verdict.details.quantity == Decimal(5)


def test_the_closing_order_names_the_reason() -> None:
    closing = fill(SELL, "5", "95", NOW, order="child")
    record = OrderRecord(
        symbol=BOOK.symbol,
        order_id="child",
        client_order_id=None,
        kind=OrderKind.STOP,
        status=OrderStatus.FILLED,
        order_side=OrderSide.SELL,
        created_by="stop_loss",
    )
    verdict = decided(slot(), heard=[closing], orders=[record])
    assert isinstance(verdict, Close)
    assert verdict.details.exit_reason is ExitReason.STOP_LOSS


@pytest.mark.parametrize(
    ("told", "until"),
    [
        (slot(at=NOW), NOW + 1),
        (slot(at=None), None),
        (slot(at=NOW - 10), None),
        (slot(at=NOW - 10, sequence=7), NOW + 1),
        (slot(at=NOW - 10, sequence=6), None),
    ],
    ids=["same-instant", "no-time", "older", "older-but-later-in-sequence", "older-in-sequence"],
)
def test_how_long_a_slot_speaks(told: StreamPosition, until: int | None) -> None:
    fills = [fill(SELL, "5", "110", NOW)]
    assert speaks_until_ms(told, [numbered(one, 7) for one in fills]) == until


def test_of_fills_of_one_millisecond_the_last_in_sequence_is_the_newest() -> None:
    fills = [numbered(fill(SELL, "2", "110", NOW), 7), numbered(fill(SELL, "3", "110", NOW), 8)]
    assert speaks_until_ms(slot(at=NOW - 10, sequence=7), fills) is None
    assert speaks_until_ms(slot(at=NOW - 10, sequence=8), fills) == NOW + 1


def test_a_case_is_at_the_time_that_its_slot_speaks_for_or_later() -> None:
    assert known_case(slot(at=VIEW)).now_ms == NOW
    ahead = known_case(slot(at=NOW + 500))
    assert (ahead.as_of_ms, ahead.now_ms) == (NOW + 501, NOW + 501)


# which fills and which slots count


def test_what_was_heard_since_the_opening_counts_also_where_it_was_not_recorded() -> None:
    """Of three fills the store has the first and the last, and the second of the opening's own millisecond was heard only."""
    recorded = [fill(BUY, "3", "100", T0, order="open"), fill(SELL, "1", "110", T0 + 2_000)]
    heard = [fill(BUY, "2", "100", T0, order="open"), fill(SELL, "1", "110", T0 + 1_000), fill(SELL, "3", "110", NOW)]
    verdict = decided(slot(), heard=heard, recorded=recorded)
    assert isinstance(verdict, Close)
    assert is_provable(verdict)
    assert (verdict.details.quantity, verdict.details.realized_pnl) == (Decimal(5), Decimal(50))


def test_a_one_way_slot_is_not_believed_where_one_fill_tells_a_leg() -> None:
    assert case_of(slot(), heard=[fill(SELL, "5", "110", NOW, leg=LONG)]) is None


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"at": NOW - 1_000}, {"at": NOW}),
        ({"sequence": 7}, {"sequence": 8}),
        ({"at": None}, {"at": NOW}),
    ],
    ids=["by-time", "by-sequence", "never-changed"],
)
def test_of_two_slots_that_speak_for_a_side_the_newer_is_believed(
    older: dict[str, int | None], newer: dict[str, int | None]
) -> None:
    """The position mode was switched: the slot of before says flat for ever."""
    stale, fresh = slot(**older), slot("5", LONG, leg=LONG, **newer)  # type: ignore[arg-type]
    for slots in ((stale, fresh), (fresh, stale)):
        assert known_case(*slots).report == fresh.report


def test_a_fill_that_tells_no_leg_may_be_the_legs_own() -> None:
    """Bybit's fills say how much they closed, not of which leg: a newer one waits for the leg's slot."""
    opened = fill(BUY, "5", "100", T0, order="open", closed="0")
    heard = [fill(SELL, "5", "110", NOW, closed="5")]
    assert case_of(slot("5", LONG, leg=LONG, at=NOW - 1), heard=heard, recorded=[opened]) is None
    assert isinstance(decided(slot(leg=LONG), heard=heard, recorded=[opened]), Close)


def test_the_other_leg_is_known_from_its_own_slot_only() -> None:
    long, short = slot(leg=LONG), slot("4", SHORT, leg=SHORT)
    assert known_case(long, short).opposite == short.report
    stale = slot("9", SHORT, at=NOW - 1_000)
    assert known_case(stale, long).opposite is None


def test_a_stream_learns_no_beginning() -> None:
    """A bot's row at its first sight: its fills are recorded already, or else there is no case."""
    verdict = decided(slot("5", LONG, at=T0 + 500), book=row(quantity="5", order="open"))
    assert isinstance(verdict, Verified)
    assert verdict.lifecycle is None


# what may stand without a look


def test_what_is_no_flip_has_no_case_of_the_other_side() -> None:
    closing = [fill(SELL, "5", "110", NOW, leg=LONG)]
    opened = fill(BUY, "5", "100", T0, order="open", leg=LONG)
    assert flipped_case(known_case(slot(), heard=[fill(SELL, "5", "110", NOW)])) is None
    beside = known_case(slot(leg=LONG), slot("4", SHORT, leg=SHORT), heard=closing, recorded=[opened])
    assert beside.opposite is not None
    assert flipped_case(beside) is None
    both = known_case(slot("3", LONG, leg=LONG), slot("4", SHORT, leg=SHORT), recorded=[opened])
    assert flipped_case(both) is None
    assert flipped_case(msgspec.structs.replace(both, opposite=report(SHORT, "4"))) is None


def test_a_close_stands_where_what_came_since_is_open_and_waits_where_it_ended() -> None:
    closed = fill(SELL, "5", "110", NOW - 3)
    reopened = fill(BUY, "2", "111", NOW - 2)
    open_since = decided(slot("2", LONG), heard=[closed, reopened])
    assert isinstance(open_since, Close)
    assert len(open_since.successors) == 1
    assert is_provable(open_since)
    ended_since = decided(slot(), heard=[closed, reopened, fill(SELL, "2", "112", NOW)])
    assert isinstance(ended_since, Close)
    assert not is_provable(ended_since)


def proven_close() -> Close:
    verdict = decided(slot(), heard=[fill(SELL, "5", "110", NOW)])
    assert isinstance(verdict, Close)
    return verdict


@pytest.mark.parametrize("evidence", [each for each in Evidence if each is not Evidence.FILLS])
def test_a_close_on_lesser_evidence_waits_for_a_look(evidence: Evidence) -> None:
    proven = proven_close()
    assert is_provable(proven)
    details = msgspec.structs.replace(proven.details, evidence=evidence)
    assert not is_provable(msgspec.structs.replace(proven, details=details))


def test_a_close_of_what_began_before_the_fills_waits_for_a_look() -> None:
    proven = proven_close()
    details = msgspec.structs.replace(proven.details, complete=False)
    assert not is_provable(msgspec.structs.replace(proven, details=details))


def test_a_change_stands_on_its_fills_from_the_opening_on_only() -> None:
    explained = decided(slot("3", LONG), heard=[fill(SELL, "2", "110", NOW)])
    assert isinstance(explained, Adjust)
    assert explained.lifecycle is not None
    beginless = msgspec.structs.replace(explained.lifecycle, opening_order_id=None)
    assert is_provable(explained)
    assert not is_provable(msgspec.structs.replace(explained, explained=False))
    assert not is_provable(msgspec.structs.replace(explained, lifecycle=None))
    assert not is_provable(msgspec.structs.replace(explained, lifecycle=beginless))


def test_an_adoption_stands_on_its_opening_and_on_nobodys_leave_only() -> None:
    case = known_case(slot("3", SHORT), heard=[fill(SELL, "8", "110", NOW, order="flip")])
    other = flipped_case(case)
    assert other is not None
    opened = decide_key(other)
    assert isinstance(opened, Adopt)
    assert opened.lifecycle is not None
    beginless = msgspec.structs.replace(opened.lifecycle, opening_order_id=None)
    assert is_provable(opened)
    assert not is_provable(msgspec.structs.replace(opened, lifecycle=None))
    assert not is_provable(msgspec.structs.replace(opened, lifecycle=beginless))
    assert not is_provable(msgspec.structs.replace(opened, hold=True))
    assert not is_provable(msgspec.structs.replace(opened, unverified=True))
