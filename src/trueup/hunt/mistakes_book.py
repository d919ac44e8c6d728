"""Deliberate bugs in what is read, decided and written: each is what a hurried change would bring."""

from __future__ import annotations

from typing import Any

import msgspec

from trueup.core import absence, amend, amounts, decide, rebuild, settle
from trueup.core.lifecycles import Trace
from trueup.core.settle import _Settler
from trueup.engine import account, histories
from trueup.engine.account import AccountReconciler
from trueup.engine.acts import Acts, Attempt
from trueup.engine.cache import PositionCache
from trueup.hunt.planting import Patch, bug, instead, mended
from trueup.model.decimals import ZERO
from trueup.model.errors import Unobserved
from trueup.model.observations import ClockReading, FillHistory, OrdersSnapshot, PositionsSnapshot
from trueup.model.positions import ExitReason
from trueup.store.memory_rows import MemoryRows
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.venue_time import VenueTime

__all__: list[str] = []

_ADAPTERS = (BinanceVenue, BybitVenue)


def _no_orders(self: Any, symbol: str | None = None) -> OrdersSnapshot:
    now = self._time.began_ms()
    return OrdersSnapshot(account=self.account, as_of_ms=now, received_at_ms=now, orders=())


# an outage is read as emptiness


@bug("a position that one answer lacks is closed at once", "lies")
def one_absence_closes(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def decide(case: Any) -> Any:
            if case.row is not None and case.report is None:
                return absence._absence_close(case, case.row, "gone")
            return real(case)

        return decide

    patch.around(histories, "decide_key", make)


@bug(
    "the time rule is ignored: a row is closed on absence however young it is",
    favour=("open_hand", "open_bot", "phantom"),
)
def young_rows_too(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def by_absence(case: Any, row: Any, past: Any) -> Any:
            hurried = msgspec.structs.replace(case.policy, new_row_grace_ms=0)
            return real(msgspec.structs.replace(case, policy=hurried), row, past)

        return by_absence

    patch.around(absence, "_by_absence", make)


@bug("the fills' newest page is not read")
def last_page_lost(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def fills(self: Any, *args: Any, **named: Any) -> FillHistory:
            found: FillHistory = await real(self, *args, **named)
            return msgspec.structs.replace(found, fills=found.fills[:-1])

        return fills

    for adapter in _ADAPTERS:
        patch.around(adapter, "fills", make)


@bug(
    "order lists that could not be read are taken for empty ones, and what no list shows for gone",
    "http",
    favour=("open_bot", "close"),
)
def orders_error_is_none(patch: Patch) -> None:
    for adapter in _ADAPTERS:
        patch.around(adapter, "open_orders", instead(Unobserved, _no_orders))

    async def absent(*_: object) -> Attempt:
        return Attempt(done=True, outcome="already gone: no list shows it")

    patch.put(Acts, "absent", absent)


# identity


@bug("positions are keyed by symbol: the second leg of a hedge is lost")
def key_by_symbol(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def positions(self: Any, *args: Any, **named: Any) -> PositionsSnapshot:
            view: PositionsSnapshot = await real(self, *args, **named)
            return msgspec.structs.replace(view, reports=tuple({r.symbol: r for r in view.reports}.values()))

        return positions

    for adapter in _ADAPTERS:
        patch.around(adapter, "positions", make)


@bug("positions that the book lacks are not adopted")
def nothing_adopted(patch: Patch) -> None:
    patch.put(_Settler, "_adopt", lambda *_, **__: None)


# time


@bug("the clocks' difference is not measured", "clocks")
def no_skew(patch: Patch) -> None:
    async def measure(self: Any, ask: Any) -> ClockReading:
        await ask()
        self._venue_ms, self._at_s = self._clock.now_ms(), self._clock.monotonic_s()
        reading = ClockReading(skew_ms=0, uncertainty_ms=1)
        self.reading = reading
        return reading

    patch.put(VenueTime, "measure", measure)


# money


@bug("profit is booked at the entry price: zero")
def pnl_at_entry(patch: Patch) -> None:
    patch.put(amounts, "gross_pnl", lambda *_: ZERO)


@bug("fees of the opening fills are forgotten")
def closing_fees_only(patch: Patch) -> None:
    patch.around(amounts, "fees_of", lambda real: lambda parts: real([part for part in parts if not part.opening]))


@bug("funding is not booked")
def no_funding(patch: Patch) -> None:
    patch.put(amounts, "funding_of", lambda *_: ZERO)


@bug("only the last closing fill is booked")
def last_fill_only(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def gross(segment: Any, *args: Any) -> Any:
            last = segment.closings[-1]
            return last.realized_pnl if last.realized_pnl is not None else real(segment, *args)

        return gross

    patch.around(amounts, "gross_pnl", make)


@bug("funding is booked with the wrong sign")
def funding_sign(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def funding(*args: Any) -> Any:
            amount = real(*args)
            return None if amount is None else -amount

        return funding

    patch.around(amounts, "funding_of", make)


@bug("every close is called external")
def reason_external(patch: Patch) -> None:
    patch.put(rebuild, "exit_reason", lambda *_: ExitReason.EXTERNAL)


@bug("a close is dated when it was noticed")
def closed_when_noticed(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def settle(decided: Any, situation: Any) -> Any:
            result = real(decided, situation)
            result.closes = [
                msgspec.structs.replace(
                    close, details=msgspec.structs.replace(close.details, closed_at_ms=situation.now_ms)
                )
                for close in result.closes
            ]
            return result

        return settle

    patch.around(account, "settle", make)


@bug("changes of quantity and entry are noticed and not written")
def nothing_adjusted(patch: Patch) -> None:
    patch.put(_Settler, "_adjusted", lambda *_: None)


# rows


@bug("a lifecycle that ended between two looks is recorded although it has a row")
def ended_twice(patch: Patch) -> None:
    async def none(*_: object) -> frozenset[Any]:
        return frozenset()

    patch.put(AccountReconciler, "_ended", none)


@bug("a bot's late row records a lifecycle that has a row")
def late_row_twice(patch: Patch) -> None:
    async def none(*_: object) -> dict[Any, Any]:
        return {}

    patch.put(AccountReconciler, "_ended_before", none)


class _NoIndex(dict[Any, Any]):
    def __contains__(self, key: object) -> bool:
        return False


@bug("the unique index on active rows is dropped")
def no_unique_index(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def init(self: Any) -> None:
            real(self)
            self.active_keys = _NoIndex()

        return init

    patch.around(MemoryRows, "__init__", make)


@bug("memory keeps what the store closed")
def memory_keeps(patch: Patch) -> None:
    def replace(self: Any, name: str, rows: Any) -> list[Any]:
        self._accounts[name] = {**self._accounts.get(name, {}), **{row.key: row for row in rows}}
        return []

    patch.put(PositionCache, "replace_account", replace)


# what the simulation found, and is mended


@mended("an answer that is older than a close brings the position back into the book")
def stale_view_adopted(patch: Patch) -> None:
    patch.put(decide, "_just_ended", lambda *_: [])


@mended("a line of fills with a gap in it is believed")
def shifted_line(patch: Patch) -> None:
    patch.put(Trace, "misstates", lambda *_: None)
    patch.put(decide, "_lacks_its_opening", lambda *_: False)
    patch.put(decide, "_is_settled", lambda *_: True)


@mended("the venue's record of a close is taken for any row of its size")
def record_of_another(patch: Patch) -> None:
    patch.put(absence, "_is_told", lambda *_: False)
    patch.put(absence, "_recorded_until", lambda *_: 0)


@mended("a lifecycle between two looks is recorded beside the row that is it and cannot be decided yet")
def brief_beside_its_row(patch: Patch) -> None:
    patch.put(settle, "_may_be", lambda *_: False)


@mended("the order that closed a row tells whose close it was, whatever opened the row")
def closing_order_alone(patch: Patch) -> None:
    patch.put(amend, "_begun_by_its_own", lambda _case, _row, ended: ended[-1])
