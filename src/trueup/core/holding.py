"""What of one look waits for a person: which closes are kept back, which holds are raised and which end.

1. What absence alone would close is held where it is many: more than the allowed share of the account's positions within the
   window, or all of an account that had two or more.
2. A hold that was rejected is not raised again until its positions are seen or its evidence changes; what it was about is not
   closed on absence meanwhile.
3. A hold ends when what it is about was decided or is seen again, never because a look could not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trueup.core import narrate
from trueup.core.cases import Case, Close, Spot
from trueup.core.records import suspended
from trueup.core.settlement import HeldGroup, Settlement
from trueup.core.situation import Situation
from trueup.model.events import NewEvent
from trueup.model.holds import Hold, HoldKind, HoldState, HoldUpdate, NewHold
from trueup.model.positions import Position, PositionKey

__all__ = ["Holding", "is_approved"]

_STANDING = (HoldState.OPEN, HoldState.APPROVED)
_ABOUT_ROWS = (HoldKind.MASS_CLOSE, HoldKind.INCONCLUSIVE)
_ABOUT_WHAT_LACKS_ONE = (HoldKind.ADOPTION,)


def is_approved(holds: Iterable[Hold], spot: Spot, *, in_book: bool) -> bool:
    """Whether a person approved what is to be decided: to close it, of what the book has; to adopt it, of what it lacks."""
    kinds = _ABOUT_ROWS if in_book else _ABOUT_WHAT_LACKS_ONE
    return any(hold.state is HoldState.APPROVED and hold.kind in kinds and spot in hold.keys for hold in holds)


class Holding:
    """The holds of one account's look.

    Attributes:
        seen: What the venue shows open. `carried_out`: what this look changes. `undecided`: what it could not tell, or holds.
    """

    def __init__(self, situation: Situation, out: Settlement) -> None:
        self._in = situation
        self._out = out
        self.seen: set[Spot] = set()
        self.carried_out: set[Spot] = set()
        self.undecided: set[Spot] = set()

    def released(self, absences: list[tuple[Case, Close]]) -> list[tuple[Case, Close]]:
        """Of the closes that nothing but absence proves, those that may be carried out; the others are held."""
        unapproved = [(case, close) for case, close in absences if not case.approved]
        refused = {
            spot
            for hold in self._in.holds
            if hold.state is HoldState.REJECTED and hold.kind is not HoldKind.ADOPTION
            for spot in hold.keys
        }
        held = [(case, close) for case, close in unapproved if case.spot in refused]
        if unapproved and self._too_many(len(unapproved)):
            held = unapproved
        if held:
            self._hold_absences(held)
        waiting = {case.spot for case, _ in held}
        return [(case, close) for case, close in absences if case.spot not in waiting]

    def _too_many(self, now: int) -> bool:
        """Rule 1. The share is taken of what the account held before the window's first absence."""
        before = self._in.active_count + self._in.recent_absences
        gone = now + self._in.recent_absences
        empties = before >= 2 and now == self._in.active_count
        return empties or Decimal(gone) > self._in.mass_close_fraction * before

    def _hold_absences(self, held: list[tuple[Case, Close]]) -> None:
        positions = [(case, narrate.suspected(close.row, self._in.now_ms)) for case, close in held]
        fingerprint = ",".join(str(number) for number in sorted(close.row.position_id for _, close in held))
        summary = f"{len(held)} of {self._in.active_count} positions vanished and nothing but their absence says so"
        self.hold(HoldKind.MASS_CLOSE, fingerprint, positions, summary)
        self._out.marks += [case.mark for case, _ in held if case.mark is not None]

    def hold(self, kind: HoldKind, fingerprint: str, about: list[tuple[Case, Position]], summary: str) -> None:
        """Raises a hold, or shows the one that stands; after a rejected one its rows stay suspected."""
        self.undecided.update(case.spot for case, _ in about)
        positions = tuple(position for _, position in about)
        same = [hold for hold in self._in.holds if hold.kind is kind and hold.fingerprint == fingerprint]
        if any(hold.state is HoldState.REJECTED for hold in same):
            self._out.suspected.extend(position for position in positions if position.position_id)
            return
        standing = next((hold for hold in same if hold.state in _STANDING), None)
        if standing is not None or not self._in.applies:
            hold_id = standing.hold_id if standing is not None else None
            self._out.held.append(HeldGroup(kind=kind, positions=positions, summary=summary, hold_id=hold_id))
            return
        self._out.held.append(
            HeldGroup(kind=kind, positions=positions, summary=summary, new_index=len(self._out.holds))
        )
        new = NewHold(
            account=self._in.account,
            kind=kind,
            fingerprint=fingerprint,
            keys=tuple(case.spot for case, _ in about),
            position_ids=tuple(position.position_id for position in positions if position.position_id),
            summary=summary,
            raised_at_ms=self._in.now_ms,
        )
        self._out.holds.append(new)
        self._event(narrate.hold_raised(new, self._in))
        for case, position in about:
            if position.position_id and case.row is not None:
                self.suspend(case.row)

    def suspend(self, row: Position) -> None:
        """Marks the row as suspected, once."""
        already = any(update.position_id == row.position_id for update in self._out.updates)
        if self._in.applies and row.suspected_since_ms is None and not already:
            self._out.updates.append(suspended(row, self._in.now_ms))

    def review(self, looked: Iterable[PositionKey]) -> None:
        """Approved holds were carried out by this look; a hold that nothing supports any more is withdrawn."""
        if not self._in.holds or not self._in.applies or self._out.look_again:
            return
        spots = {(key.symbol, key.side) for key in looked}
        standing = {group.hold_id for group in self._out.held if group.hold_id is not None}
        for hold in self._in.holds:
            if hold.kind is HoldKind.IDENTITY or hold.hold_id in standing:
                continue
            state = self._next_state(hold, spots)
            if state is not None:
                self._out.hold_updates.append(HoldUpdate(hold_id=hold.hold_id, state=state, at_ms=self._in.now_ms))
                self._event(narrate.hold_ended(hold, state, self._in))

    def _next_state(self, hold: Hold, looked: set[Spot]) -> HoldState | None:
        """What becomes of a hold that this look did not raise; None: it stands as it is."""
        keys = set(hold.keys)
        if hold.state is HoldState.REJECTED:
            about_book = hold.kind is not HoldKind.ADOPTION
            ended = bool(keys & self.seen) if about_book else not keys & looked
            return HoldState.WITHDRAWN if ended else None
        if hold.state is HoldState.APPROVED and keys & self.carried_out:
            return HoldState.DONE
        replaced = keys & {(shown.symbol, shown.side) for group in self._out.held for shown in group.positions}
        if keys & self.undecided and not keys & self._seen_again(hold) and not replaced:
            return None
        return HoldState.WITHDRAWN

    def _seen_again(self, hold: Hold) -> set[Spot]:
        """Keys whose sight ends a hold about the book's rows; an adoption is about what is seen."""
        return self.seen if hold.kind is not HoldKind.ADOPTION else set()

    def _event(self, event: NewEvent) -> None:
        self._out.events.append(event)
