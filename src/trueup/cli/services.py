"""What the command line needs of the program, as one Protocol: bootstrap implements it, tests fake it.

1. A command knows only this Protocol and the model's values; it never sees a store, a venue or an engine.
2. Services are opened once a command, with its settings, and closed when it ends, however it ends.
3. What was named on the command line and does not exist (a position, a hold, a file) raises `ConfigurationError`:
   the exit code is 2. Accounts are checked against the settings before a method is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from trueup.model.holds import HoldState
from trueup.model.positions import Position
from trueup.model.reports import SyncReport
from trueup.model.values import Value

if TYPE_CHECKING:
    from trueup.config import Settings
    from trueup.model.events import Event
    from trueup.model.holds import Hold
    from trueup.model.reports import AccountStatus, Check, Explanation, Replay

__all__ = ["CloseOutcome", "HoldOutcome", "OpenServices", "Say", "Services", "VenueOptions"]

Say: TypeAlias = Callable[[str], None]
"""Tells the person one short line about what goes on now; never blocks, never fails."""


class HoldOutcome(Value, frozen=True, kw_only=True):
    """What became of a hold that a person decided.

    Attributes:
        state: Of the hold, after it was carried out.
        done: An approval was carried out and verified, or withdrawn by the fresh look; a rejection was recorded.
            False: not carried out yet (exit 5).
        message: One sentence for the person.
        report: The pass that carried an approval out; None where none ran.
    """

    hold_id: int
    state: HoldState
    done: bool
    message: str
    report: SyncReport | None = None


class CloseOutcome(Value, frozen=True, kw_only=True):
    """What became of a wish to close.

    Attributes:
        done: Every position that was to be closed is closed in the book, and nothing of it waits on the venue.
        message: One sentence for the person.
        closed: As the book closed them. `open`: those that are not closed yet.
    """

    account: str
    done: bool
    message: str
    closed: tuple[Position, ...] = ()
    open: tuple[Position, ...] = ()


class VenueOptions(Value, frozen=True, kw_only=True):
    """How the simulated venue is served.

    Attributes:
        port: Of REST and streams; 0 takes a free one.
        control_port: None: the one after `port`, or a free one when that is 0.
        positions: How many the demo accounts hold at the start, 0 or 2.
        seed: Of ids and prices; None: the scenario's, or 0.
        clock_offset_ms: By how much the venue's clock is ahead of this machine's.
        view: Show the world while it runs, where there is a terminal.
    """

    host: str = "127.0.0.1"
    port: int = 9001
    control_port: int | None = None
    positions: int = 2
    seed: int | None = None
    clock_offset_ms: int = 0
    scenario: Path | None = None
    view: bool = True


class Services(Protocol):
    """Everything that commands do. Every method may raise a `TrueupError`; its text is what the person reads."""

    async def sync(self, accounts: Sequence[str], *, dry_run: bool, progress: Say) -> SyncReport:
        """One complete pass over these accounts (all of the settings when empty).

        What goes wrong with one account is in its report; an exception means that no account could be worked on.
        """
        ...

    async def run(self, *, on_ready: Say) -> None:
        """The daemon, until it is cancelled. A cancellation stops it cleanly: nothing is lost, leases are given back.

        Args:
            on_ready: Called once, with a line that says what is served where.
        """
        ...

    async def status(self) -> tuple[AccountStatus, ...]:
        """Every account of the settings, in their order."""
        ...

    async def positions(self, status: str, account: str | None) -> list[Position]:
        """`status`: ``active``, ``closed`` or ``all``; oldest first."""
        ...

    async def events(
        self,
        *,
        account: str | None,
        position_id: int | None,
        type: str | None,  # noqa: A002 - the contract's word
        after_id: int,
        limit: int | None,
    ) -> list[Event]:
        """Events with an id above `after_id`, in order of their ids; `limit` keeps the newest."""
        ...

    async def explain(self, position_id: int) -> Explanation:
        """Raises `ConfigurationError` when the book has no such position."""
        ...

    async def replay(self, since_ms: int) -> Replay:
        """Decides what was recorded from then on again; venue and book are not touched."""
        ...

    async def holds(self, all: bool) -> list[Hold]:  # noqa: A002 - the command's own word
        """Open holds (and approved ones that are not carried out yet); with `all` the decided ones too; oldest first."""
        ...

    async def approve(self, hold_id: int, progress: Say) -> HoldOutcome:
        """Looks again, then carries out what still stands. Raises `ConfigurationError` when there is no such open hold."""
        ...

    async def reject(self, hold_id: int, note: str | None) -> HoldOutcome:
        """Raises `ConfigurationError` when there is no such open hold."""
        ...

    async def close(
        self, account: str, symbol: str, *, side: str | None, note: str | None, progress: Say
    ) -> CloseOutcome:
        """Closes at market. Raises `ConfigurationError` when it is not open, ambiguous, or the mode forbids it."""
        ...

    async def close_all(self, account: str, *, note: str | None, progress: Say) -> CloseOutcome:
        """Every open position of the account."""
        ...

    async def pause(self, account: str) -> None: ...

    async def resume(self, account: str) -> None: ...

    async def doctor(self) -> tuple[Check, ...]:
        """Never raises for what it is there to find: a store that does not answer is a `Check`."""
        ...

    async def pin_reset(self, account: str) -> str:
        """Accepts the venue account that the key belongs to now; returns what was pinned, as a sentence."""
        ...

    async def db_upgrade(self, accounts: Sequence[str], *, keep_newest: bool) -> str:
        """Migrates; returns what was done.

        Args:
            accounts: Whose the old system's rows are, one account an exchange.
            keep_newest: Of several active old rows of one symbol and side the newest stays active.

        Raises:
            ConfigurationError: The old system's table is there and no account was named for its rows.
        """
        ...

    async def db_backup(self, path: Path) -> str:
        """Copies the store to a new file; returns what was written. An existing file is a `ConfigurationError`."""
        ...

    async def demo(self, keep: bool, say: Say) -> None:
        """Tells a position's whole life on simulated venues. Needs no settings."""
        ...

    async def venue_serve(self, options: VenueOptions, say: Say) -> None:
        """The simulated venue until it is cancelled; says where it listens. Needs no settings."""
        ...

    async def venue_control(self, url: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """One request to the control port of a served venue; its answer. Needs no settings.

        Raises:
            ConfigurationError: The address is none of a control port on this machine, or what is asked cannot be meant.
            Rejected: The simulated venue refuses it.
            Transient: Nothing answers there.
        """
        ...


OpenServices: TypeAlias = Callable[["Settings | None"], AbstractAsyncContextManager[Services]]
"""Opens the program for one command. None: `demo` and `venue …`, which need no settings."""
