"""The judge: sees the world's whole history and what was committed, never what the engine thinks; says what must not be.

The invariants are named here and reasoned in docs/simulation.md. Those about a moment are judged at each commit and at
each act on the venue; those about what is in the end, once all is quiet (`unsettled`).
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Generator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog

from trueup.hunt.claims import false_claims
from trueup.hunt.truth import Lifecycle, Truth
from trueup.model.effects import EffectKind, EffectState
from trueup.model.holds import HoldState
from trueup.model.positions import Evidence, Origin, Position, PositionStatus
from trueup.sim.wire import pairs_of
from trueup.sim.world.events import AccountChanged, ConditionalChanged, OrderChanged, WorldEvent
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.types import ConditionalKind, ConditionalOrder, ConditionalStatus, EndReason, Order

if TYPE_CHECKING:
    from trueup.hunt.plan import Happening
    from trueup.hunt.simulation import Simulation
    from trueup.model.changes import ChangeSet, Committed
    from trueup.model.effects import Effect, Notice
    from trueup.model.holds import Hold
    from trueup.ports import Owner
    from trueup.sim.front import Outcome
    from trueup.sim.loop import Host
    from trueup.sim.wire import WireRequest
    from trueup.sim.world.types import Leg

__all__ = ["INVARIANTS", "Judge", "Problem", "Violation"]

INVARIANTS = {
    "no-false-close": "a row is closed only when its lifecycle on the venue has ended, on absence alone once it had its time",
    "close-recorded": "a close is in the book within the bound after faults end",
    "equals-world": "recorded profit, fees, funding, quantity, time and reason are the world's",
    "quiet-equal": "memory, store and venue are equal when all is quiet",
    "found-in-time": "an open position is in the book within two audits and the time that faults took",
    "one-active-row": "a key has at most one active row",
    "one-row-each": "a lifecycle is recorded once",
    "no-order-outlives": "no order of ours outlives its lifecycle",
    "last-stop-stays": "no open position loses its last stop by our act",
    "protected-in-time": "all of an open position of the bot's has live stops within the grace and the time that faults took",
    "only-ours-cancelled": "no order is cancelled that is not ours to cancel",
    "effect-done-once": "every effect is carried out, and none twice in its result",
    "stale-owner": "who lost the account changes nothing",
    "request-answered": "what a person asked for is answered",
    "no-surprise": "nothing fails that the engine did not foresee, nothing hangs",
}

_SLACK_MS = 5_000
_OVERDUE_MS = 300_000
_GRACE_S = 10.0
_BAN_S = 600.0
_RECOVERY_S = 60.0
"""Leases that run out, streams that come back, an effect's next attempt."""
_CLOCKS_S = 12.0
"""Between the clock that a row was dated by and the venue's, with their steps."""
_STALEST_MS = 4_000
_FRESH_MS, _FLIGHT_MS = 20_000, 1_000
_MONEY = Decimal("0.000001")
_RELATIVE = Decimal("0.0000001")


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold, and when (true time, seconds)."""

    invariant: str
    at_s: float
    text: str


@dataclass(frozen=True)
class Problem:
    """What is not yet as it must be in the end."""

    invariant: str
    text: str


class Judge:
    """Of one run."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._world = simulation.world
        self._rows = simulation.database.rows
        self.truth = Truth(simulation.world)
        self.violations: list[Violation] = []
        self.entries: set[tuple[str, int]] = set()
        """Orders that open something: (account, id)."""
        self.events = 0
        self.commits = 0
        self._inserted_ms: dict[int, int] = {}
        self._read_ms: dict[tuple[str, str], int] = {}
        self._by_hand_ms: dict[tuple[str, str, Leg], int] = {}
        self._told: set[tuple[str, int, str]] = set()
        self._closes_in: dict[str, int] = {}
        self._faulty_until_s = 0.0
        self._naked_s: dict[int, float] = {}
        self._missing_s: dict[int, float] = {}

    def violated(self, invariant: str, text: str) -> None:
        """Says so, once for each text."""
        assert invariant in INVARIANTS, invariant
        if not any((each.invariant, each.text) == (invariant, text) for each in self.violations):
            self.violations.append(Violation(invariant, self._sim.loop.time(), text))
            self._sim.note("judge", f"{invariant}: {text}")

    def surprise(self, text: str) -> None:
        self.violated("no-surprise", text)

    def counts(self) -> dict[str, int]:
        """Of the run, for its report."""
        lifecycles = [life for lives in self.truth.lifecycles.values() for life in lives]
        return {
            "venue_events": self.events,
            "lifecycles": len(lifecycles),
            "closed": sum(1 for life in lifecycles if life.closed_ms is not None),
            "closed_rows": sum(1 for row in self._rows.positions.values() if row.status is PositionStatus.CLOSED),
            "commits": self.commits,
            "requests": self._sim.network.requests,
            "messages": self._sim.network.messages,
            "starts": sum(node.starts for node in self._sim.nodes),
            "crashes": sum(node.starts - 1 for node in self._sim.nodes),
            "steps": self._sim.loop.steps,
        }

    def fault_time(self, happening: Happening) -> None:
        """Faults excuse delays, nothing else."""
        lasts_s = happening.for_s + float(happening.data.get("down_s", 0))
        if happening.kind == "banned":
            lasts_s += _BAN_S
        self.excuse(lasts_s + float(happening.data.get("retry_after_s", 0)))

    def excuse(self, seconds: float) -> None:
        """From now on for so long, and the time to recover, nobody is expected to be quick."""
        self._faulty_until_s = max(self._faulty_until_s, self._sim.loop.time() + seconds + _RECOVERY_S)

    def tick(self, seconds: float) -> None:
        """So much time has passed: what is not as it should be, though nothing has been wrong for long enough?"""
        if self._sim.loop.time() < self._faulty_until_s:
            self._naked_s.clear()
            self._missing_s.clear()
            return
        self.truth.update()
        lives = self.truth.open_now()
        rows = {(row.account, row.symbol, row.side.value): row for row in self._sim.active_rows()}
        audit_s = self._sim.plan.settings["sync"]["audit_interval_s"]
        for key, life in lives.items():
            if _lasts(self._missing_s, id(life), seconds, key not in rows, 2 * audit_s + _SLACK_MS / 1000):
                self.violated(
                    "found-in-time", f"{life.name}, open since {life.opened_ms}, has no row, nothing was wrong"
                )
        for key, row in rows.items():
            found = lives.get(key)
            wanted = row.origin is Origin.BOT and self._sim.plan.modes[row.account] == "protect"
            naked = found is not None and wanted and not self._has_stop(found)
            if _lasts(self._naked_s, row.position_id, seconds, naked, _GRACE_S + audit_s + _SLACK_MS / 1000):
                text = f"row {row.position_id} {row.key} is not covered by live stops, nothing was wrong"
                self.violated("protected-in-time", text)

    def _has_stop(self, life: Lifecycle) -> bool:
        """Whether live stops cover all of it."""
        view = self._world.look(life.account)
        stops = view.live_stops(self._world.instrument(view.spec.venue, life.symbol).symbol, life.leg)
        whole = any(stop.quantity is None for stop in stops)
        return whole or sum((stop.quantity or Decimal(0) for stop in stops), Decimal(0)) >= life.open_quantity > 0

    # what is seen
    def look(self) -> None:
        """Takes in what the world did."""
        self.truth.update()

    def heard(self, event: WorldEvent) -> None:
        """A world event, at its instant."""
        if isinstance(event, AccountChanged | OrderChanged | ConditionalChanged):
            self.events += 1
        serving = self._sim.network.serving
        if isinstance(event, ConditionalChanged):
            order = event.order
            if order.status is ConditionalStatus.CANCELED and order.end_reason is EndReason.USER:
                if serving:
                    self._cancelled(order.conditional_id, order)
                elif order.kind is not ConditionalKind.TAKE_PROFIT:
                    self._by_hand_ms[order.account, order.symbol, order.leg] = self._world.now_ms()
        elif isinstance(event, OrderChanged):
            if event.fill is None and event.order.end_reason is EndReason.USER and serving:
                self._cancelled(event.order.order_id, event.order)
            if event.fill is not None and event.order.client_order_id.startswith("tu-close-"):
                self._closed_by_us(event.order)

    def inserted(self, row_id: int) -> None:
        """A bot's row came into the book."""
        self._inserted_ms[row_id] = self._world.now_ms()

    def told(self, notice: Notice) -> None:
        self._told.add((notice.dedup, notice.at_ms, notice.title))

    def acted(self, host: Host, request: WireRequest, outcome: Outcome) -> None:
        """A request of ours that is no question was served."""
        status = outcome.response.status if outcome.response is not None else "no answer"
        self._sim.note(host.name, f"{request.method} {request.path} → {status}")

    def asked(self, account: str | None, request: WireRequest) -> None:
        """A question of ours was served: when a symbol's position was last read before an act."""
        if account is None or not ("ositionRisk" in request.path or request.path.endswith("/position/list")):
            return
        symbol = dict(pairs_of(request.query)).get("symbol")
        if symbol:
            self._read_ms[account, symbol] = self._world.now_ms()

    # at each commit
    def committed(self, owner: Owner, changes: ChangeSet, committed: Committed) -> None:
        """Judges one commit at its instant."""
        self.commits += 1
        self._sim.loop.mix(len(changes.events) * 31 + len(changes.closes) * 7 + len(changes.effects))
        self.truth.update()
        lease = self._sim.database.leases.get(owner.account)
        if lease is None or (lease.holder, lease.epoch) != (owner.holder, owner.epoch):
            self.violated(
                "stale-owner", f"{owner.holder} committed under epoch {owner.epoch}, the account is {lease}'s"
            )
        for row_id in committed.position_ids:
            self._inserted_ms[row_id] = self._world.now_ms()
            row = self._rows.positions[row_id]
            self._sim.note("book", f"row {row_id} {row.status.value}: {row.key} {row.quantity} at {row.entry_price}")
            if row.close is not None:
                self._closed(row)
        carried_out = [self._rows.holds[each.hold_id] for each in changes.hold_updates if each.state is HoldState.DONE]
        approved = {(symbol, side) for hold in carried_out for symbol, side in hold.keys}
        for close in changes.closes:
            row = self._rows.positions[close.position_id]
            self._closed(row)
            if close.details.evidence is Evidence.ABSENCE and (row.symbol, row.side) not in approved:
                self._old_enough(row)
        written = [(self._rows.effects[update.effect_id], update) for update in changes.effect_updates]
        for claim in false_claims(self._world, written, self._wire_id):
            self.violated("effect-done-once", claim)
        for event in changes.events:
            if event.type.value not in ("POSITION_VERIFIED", "POSITIONS_LOADED"):
                self._sim.note("event", f"{event.type.value} {event.symbol or ''} {dict(event.data)}")
        if committed.position_ids:
            self._one_active_row()

    def _one_active_row(self) -> None:
        keys = [row.key for row in self._sim.active_rows()]
        for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
            self.violated("one-active-row", f"{key} has several active rows")

    def _closed(self, row: Position) -> None:
        close = row.close
        assert close is not None
        self._sim.note(
            "book",
            f"row {row.position_id} closed: {row.key} {close.quantity} {close.exit_reason.value} on {close.evidence.value}"
            f" pnl {close.realized_pnl}",
        )
        lives = self.truth.of(row.account, row.symbol, row.side.value)
        if close.evidence is not Evidence.ABSENCE:
            if _match(row, lives) is None:
                known = [life.closed_ms for life in lives]
                self.violated(
                    "no-false-close",
                    f"row {row.position_id} {row.key} closed on {close.evidence.value} at {close.closed_at_ms}; "
                    f"the venue closed that key at {known}",
                )
            return
        inserted = self._inserted_ms.get(row.position_id, 0)
        for life in lives:
            if life.closed_ms is None and life.opened_ms <= inserted + _SLACK_MS:
                self.violated(
                    "no-false-close",
                    f"row {row.position_id} {row.key} closed on absence; it is open on the venue since {life.opened_ms}",
                )

    def _old_enough(self, row: Position) -> None:
        """Nobody approved it: the row had its time for its fill to become visible."""
        grace_s = self._sim.plan.settings["sync"]["new_row_grace_s"]
        age_s = (self._world.now_ms() - self._inserted_ms.get(row.position_id, 0)) / 1000
        if age_s < grace_s - _CLOCKS_S:
            text = f"row {row.position_id} {row.key} closed on absence, {age_s:.0f} s old; a row has {grace_s} s"
            self.violated("no-false-close", text)

    # at each act
    def _cancelled(self, order_id: int, order: ConditionalOrder | Order) -> None:
        self._sim.note("venue", f"{order.account} order {order_id} of {order.symbol} is cancelled by us")
        closes = order.closes if isinstance(order, ConditionalOrder) else order.reduce_only or order.close_position
        name = f"order {order_id} of {order.account} {order.symbol}"
        if (order.account, order_id) in self.entries or not closes:
            self.violated("only-ours-cancelled", f"{name} is somebody's entry")
            return
        wire_id = self._wire_id(order.account, order_id)
        recorded = any(
            each.account == order.account and each.order_id == wire_id for each in self._rows.orders.values()
        )
        if not recorded and not order.client_order_id.startswith("tu-"):
            self.violated("only-ours-cancelled", f"{name} is neither ours nor recorded of an ended lifecycle")
        self._last_stop(order, name)

    def _wire_id(self, account: str, order_id: int) -> str:
        """As the venue writes it to us."""
        return str(order_id) if self._world.look(account).spec.venue == "binance" else uuid_text(order_id)

    def _last_stop(self, order: ConditionalOrder | Order, name: str) -> None:
        if not isinstance(order, ConditionalOrder) or order.kind is ConditionalKind.TAKE_PROFIT:
            return
        view = self._world.look(order.account)
        position = view.position(order.symbol, order.leg)
        if position is None or position.side is not order.side.opposite or view.live_stops(order.symbol, order.leg):
            return
        now_ms = self._world.now_ms()
        stale_ms = _STALEST_MS if "lies" in self._sim.plan.faults else 0
        if self._by_hand_ms.get((order.account, order.symbol, order.leg), 0) >= now_ms - _FLIGHT_MS - stale_ms:
            return  # when the lists were read another one stood, and somebody took it away since
        read_ms = self._read_ms.get((order.account, order.symbol), 0)
        read_ms = now_ms if now_ms - read_ms > _FRESH_MS else read_ms
        read_ms = min(read_ms, now_ms - _FLIGHT_MS)  # others may have read it while the cancel was on its way
        if position.opened_ms < read_ms - stale_ms:
            self.violated("last-stop-stays", f"{name} was the last stop of a position open since {position.opened_ms}")

    def _closed_by_us(self, order: Order) -> None:
        """All orders of one close effect act in one lifecycle."""
        effect = order.client_order_id.rpartition("-")[0]
        position = self._world.look(order.account).position(order.symbol, order.leg)
        number = position.lifecycle if position is not None else 0
        before = self._closes_in.setdefault(effect, number)
        if before != number:
            self.violated("effect-done-once", f"{effect} closed lifecycle {before} and then {number} of {order.symbol}")

    # in the end
    def may_approve(self, hold: Hold) -> bool:
        """Whether what a hold asks for is true on the venue."""
        open_now = self.truth.open_now()
        return all((hold.account, symbol, side.value) not in open_now for symbol, side in hold.keys)

    def unsettled(self) -> list[Problem]:
        """What is not as it must be once all is quiet."""
        self.truth.update()
        return [
            *self._book_and_venue(),
            *self._memory(),
            *self._lifecycles(),
            *self._orders(),
            *self._effects(),
            *self._unanswered(),
        ]

    def _book_and_venue(self) -> Iterator[Problem]:
        rows = {(row.account, row.symbol, row.side.value): row for row in self._sim.active_rows()}
        lives = self.truth.open_now()
        for key in sorted(rows.keys() - lives.keys()):
            yield Problem("close-recorded", f"row {rows[key].position_id} {key} is active, the venue is flat there")
        for key in sorted(lives.keys() - rows.keys()):
            yield Problem("quiet-equal", f"{key} is open on the venue since {lives[key].opened_ms}, the book lacks it")
        for key in sorted(rows.keys() & lives.keys()):
            row, life = rows[key], lives[key]
            if row.quantity != life.open_quantity:
                text = f"row {row.position_id} {key}: {row.quantity} in the book, {life.open_quantity} on the venue"
                yield Problem("quiet-equal", text)
            yield from self._entry(row, life)
            if row.suspected_since_ms is not None:
                yield Problem("quiet-equal", f"row {row.position_id} {key} is still suspected")
        for hold in self._rows.holds.values():
            if hold.state is HoldState.OPEN:
                yield Problem("close-recorded", f"hold {hold.hold_id} {hold.kind.value} still waits: {hold.keys}")

    def _entry(self, row: Position, life: Lifecycle) -> Iterator[Problem]:
        position = self._world.look(life.account).position(
            self._world.instrument(self._world.look(life.account).spec.venue, life.symbol).symbol, life.leg
        )
        if position is None or row.entry_price is None:
            yield Problem("quiet-equal", f"row {row.position_id} {row.key} has no entry price")
        elif abs(row.entry_price - position.entry_price) > position.entry_price * _RELATIVE:
            text = f"row {row.position_id} {row.key}: entry {row.entry_price}, on the venue {position.entry_price}"
            yield Problem("quiet-equal", text)

    def _memory(self) -> Iterator[Problem]:
        for account in self._sim.plan.modes:
            lease = self._sim.database.leases.get(account)
            holder = lease.holder if lease is not None else ""
            node = next((node for node in self._sim.nodes if holder.startswith(f"{node.host.name}:")), None)
            if node is None or node.manager is None:
                yield Problem("quiet-equal", f"{account}: nobody that lives owns it")
                continue
            memory = {key: row for key, row in node.manager.positions.items() if key.account == account}
            store = {row.key: row for row in self._sim.active_rows() if row.account == account}
            if memory != store:
                yield Problem("quiet-equal", f"{account}: memory has {sorted(memory)}, the store {sorted(store)}")

    def _lifecycles(self) -> Iterator[Problem]:
        """Closed rows against the world's lifecycles, one to one."""
        claimed: dict[int, int] = {}
        for row in self._rows.positions.values():
            if row.close is None:
                continue
            life = _match(row, self.truth.of(row.account, row.symbol, row.side.value))
            if life is None:
                if row.close.evidence is not Evidence.ABSENCE:
                    text = f"row {row.position_id} {row.key} closed at {row.close.closed_at_ms}: the venue has no such close"
                    yield Problem("no-false-close", text)
                continue
            if id(life) in claimed:
                text = f"rows {claimed[id(life)]} and {row.position_id} {row.key} record one lifecycle"
                yield Problem("one-row-each", text)
            claimed[id(life)] = row.position_id
            yield from _amounts(row, life)
        for lives in self.truth.lifecycles.values():
            for life in lives:
                if life.closed_ms is not None and id(life) not in claimed and self._was_seen(life):
                    text = (
                        f"{life.name} {life.opened_ms}–{life.closed_ms} ({life.reason}) had a row and is not recorded"
                    )
                    yield Problem("close-recorded", text)

    def _was_seen(self, life: Lifecycle) -> bool:
        """Whether a row was found true to it while it was open: in a state as old as the venue's change time says, or younger."""
        side = "long" if life.side.sign > 0 else "short"
        end_ms = life.closed_ms or 0
        return any(
            (row.account, row.symbol, row.side.value) == (life.account, life.symbol, side)
            and life.opened_ms < max(row.verified_as_of_ms or 0, row.venue_updated_at_ms or 0) < end_ms
            for row in self._rows.positions.values()
        )

    def _orders(self) -> Iterator[Problem]:
        protecting = [name for name, mode in self._sim.plan.modes.items() if mode == "protect"]
        recorded = {(order.account, order.order_id): order for order in self._rows.orders.values()}
        for account in protecting:
            view = self._world.look(account)
            for order in view.open_conditionals():
                position = view.position(order.symbol, order.leg)
                if not order.closes or order.attached is not None:
                    continue
                if position is not None and position.side is order.side.opposite:
                    continue
                record = recorded.get((account, self._wire_id(account, order.conditional_id)))
                ours = order.client_order_id.startswith("tu-")
                if ours or (record is not None and record.closing and record.position_id is not None):
                    text = f"{account} {order.symbol} {order.kind} {order.conditional_id} is open without a position"
                    yield Problem("no-order-outlives", text)

    def _effects(self) -> Iterator[Problem]:
        for effect in self._rows.effects.values():
            if effect.kind is EffectKind.AMEND_CLOSE and not self._is_overdue(effect):
                continue  # a look at what the history tells later, when its time comes
            if effect.state is not EffectState.DONE:
                text = f"effect {effect.effect_id} {effect.kind.value} is {effect.state.value}: {effect.last_error}"
                yield Problem("effect-done-once", text)
            elif effect.kind is EffectKind.NOTIFY and effect.outcome == "told":
                from trueup.model.effects import Notice as Told
                from trueup.model.values import from_json

                notice = from_json(effect.payload, Told)
                if (notice.dedup, notice.at_ms, notice.title) not in self._told:
                    yield Problem("effect-done-once", f"notice {effect.effect_id} counts as told and never was")

    def _is_overdue(self, effect: Effect) -> bool:
        return effect.state is not EffectState.DONE and (
            effect.next_attempt_at_ms + _OVERDUE_MS < self._sim.database.clock_ms()
        )

    def _unanswered(self) -> Iterator[Problem]:
        for asked in self._sim.database.asked.values():
            if asked.request.state != "done":
                text = f"request {asked.request.request_id} {asked.request.kind} is {asked.request.state}"
                yield Problem("request-answered", text)

    # the log
    @contextmanager
    def listening(self) -> Generator[None, None, None]:
        """While it lasts the engine's log goes to the judge: what the engine itself calls unexpected is a violation."""
        before = structlog.get_config()
        structlog.configure(
            processors=[self._logged],
            wrapper_class=structlog.make_filtering_bound_logger(40),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)
            for problem in self._sim.loop.problems:
                error = problem.get("exception")
                self.surprise(f"{problem.get('message')}: {type(error).__name__} {error}")

    def _logged(self, _: Any, __: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
        if "unexpected" in str(entry.get("event")):
            where = traceback.format_exc(limit=-6) if sys.exc_info()[0] is not None else ""
            self.surprise(f"{entry.get('event')} {entry.get('account', '')}: {where}")
        raise structlog.DropEvent


def _lasts(since: dict[int, float], what: int, seconds: float, is_so: bool, bound_s: float) -> bool:
    """Whether it has been so for longer than the bound, by these seconds; true once each time."""
    if not is_so:
        since.pop(what, None)
        return False
    since[what] = since.get(what, 0.0) + seconds
    return since[what] - seconds <= bound_s < since[what]


def _match(row: Position, lives: list[Lifecycle]) -> Lifecycle | None:
    """The lifecycle that a closed row records: the one that ended when it says."""
    close = row.close
    assert close is not None
    ended = [life for life in lives if life.closed_ms is not None]
    exact = [life for life in ended if life.closed_ms == close.closed_at_ms]
    if exact or close.evidence is Evidence.FILLS:
        # A venue whose clock stands still ends several in one millisecond: the row's is the one that its order closed, else the
        # one that began when it says.
        told = [life for life in exact if close.closing_order_id in life.closing_ids]
        return min(reversed(told or exact), key=lambda life: abs(life.opened_ms - row.opened_at_ms), default=None)
    # Never seen open: it may be the row of what began when it was made, and of nothing later.
    latest_ms = close.closed_at_ms if row.verified_as_of_ms is not None else row.opened_at_ms + _SLACK_MS
    begun = [life for life in ended if life.opened_ms <= min(latest_ms, close.closed_at_ms)]
    near = [life for life in begun if abs((life.closed_ms or 0) - close.closed_at_ms) <= _SLACK_MS]
    return near[-1] if near else None


def _amounts(row: Position, life: Lifecycle) -> Iterator[Problem]:
    """What a closed row says against what happened. Unknown is no lie; a number is."""
    close = row.close
    assert close is not None
    fees = {each.asset: each.amount for each in close.fees}
    told: list[tuple[str, object, object]] = []
    if close.evidence is not Evidence.ABSENCE:
        told.append(("quantity", close.quantity, life.closed))
        told.append(("profit", close.realized_pnl, life.pnl))
        if fees and close.complete:
            told += [(f"fee in {asset}", fees.get(asset, Decimal(0)), amount) for asset, amount in life.fees.items()]
        if not life.shares_payment:
            told.append(("funding", close.funding, life.funding))
    for what, recorded, real in told:
        if isinstance(recorded, Decimal) and isinstance(real, Decimal) and abs(recorded - real) > _MONEY:
            text = f"row {row.position_id} {row.key} ({close.evidence.value}): {what} {recorded}, in truth {real}"
            yield Problem("equals-world", text)
    reason = close.exit_reason.value
    followed = (reason, life.reason) == ("trailing_stop", "stop_loss")  # a stop of ours that followed the price
    if reason not in (life.reason, "sync_cleanup", "PHANTOM_ON_SYNC") and not followed:
        yield Problem("equals-world", f"row {row.position_id} {row.key}: reason {reason}, in truth {life.reason}")
