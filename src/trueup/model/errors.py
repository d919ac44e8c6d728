"""Errors, each telling what, where, expected, found and the mend.

One base; under it what may pass by itself (`Transient`), what will not (`Permanent`), and a broken promise of our own
(`InvariantBroken`). A failure to observe is always an exception: it can never be taken for an empty answer.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "AccountMismatch",
    "AmbiguousSymbol",
    "AuthenticationRefused",
    "ClockSkewed",
    "ConfigurationError",
    "Conflict",
    "InvariantBroken",
    "NotDelivered",
    "NotOwner",
    "OutcomeUnknown",
    "Permanent",
    "RateLimited",
    "Rejected",
    "RowsRefused",
    "SlotsMissing",
    "StoreUnavailable",
    "Transient",
    "TrueupError",
    "UnknownOrder",
    "UnknownSymbol",
    "Unlisted",
    "Unobserved",
    "Unreadable",
]


class TrueupError(Exception):
    """Base of every error that trueup raises on purpose."""


class Transient(TrueupError):
    """May pass by itself: look again later."""


class Permanent(TrueupError):
    """Will not pass by itself: somebody must act."""


class InvariantBroken(TrueupError):
    """A promise of trueup's own code does not hold: a fault of ours, please report it."""


class RowsRefused(Permanent):
    """The database takes no row for some new positions, by a rule of its owner's (a trigger, a column). Nothing was written.

    Attributes:
        problems: The database's words, by the place of the position among those that were to be inserted.
    """

    def __init__(self, where: str, problems: Mapping[int, str]) -> None:
        self.problems = dict(problems)
        words = "; ".join(dict.fromkeys(self.problems.values()))
        super().__init__(f"{where}: the database refuses {len(self.problems)} new rows of positions: {words}")


class Unreadable(Permanent, ValueError):
    """A value that is not what its field must hold. Never read as zero or empty."""

    def __init__(self, what: str, *, expected: str, found: object) -> None:
        shown = repr(found)
        super().__init__(f"{what}: expected {expected}, found {shown if len(shown) <= 80 else shown[:77] + '...'}")


class UnknownSymbol(Permanent, LookupError):
    """No instrument of the venue's market list bears that symbol."""


class AmbiguousSymbol(Permanent, LookupError):
    """Several instruments fit; `candidates` lists their unified symbols."""

    def __init__(self, text: str, candidates: tuple[str, ...], where: str) -> None:
        self.candidates = candidates
        super().__init__(f"{where}: {text!r} could be any of {', '.join(candidates)}; write one of these in full")


class Unobserved(Transient):
    """The venue's answer did not come, was partial or could not be read: nothing may be concluded from it.

    `source` names the call (``"positions linear USDC page 2"``).
    """

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        super().__init__(f"{source}: {problem}")


class Unlisted(Unobserved):
    """The venue's market list, read afresh, lacks the contract (delisted, delivered): nothing can be asked about it."""


class RateLimited(Unobserved):
    """The venue asks to wait; `retry_after_s` as it said, None if it did not."""

    def __init__(self, source: str, problem: str, retry_after_s: int | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(source, problem)


class SlotsMissing(Unobserved):
    """A venue that lists every slot of a symbol, flat ones too, answered without one: that is not flat, it is no answer."""


class ClockSkewed(Unobserved):
    """The venue refused our timestamp (Binance -1021, Bybit 10002): measure the skew again, then ask again."""


class AuthenticationRefused(Permanent):
    """The venue refuses this key (Binance -2014, -2015; Bybit 10003, 10004, 10005): nothing was observed."""


class AccountMismatch(Permanent):
    """The key answers for another venue account than the pinned one."""

    def __init__(self, account: str, pinned: str, found: str) -> None:
        self.account, self.pinned, self.found = account, pinned, found
        super().__init__(
            f"account {account!r}: this key answers for venue account {found}, the book belongs to {pinned}; nothing "
            f"was changed. Put the right key back, or accept the new one with: trueup accounts pin {account} --reset"
        )


class Rejected(Permanent):
    """The venue refused an action, with its own `code` and text: it was not carried out."""

    def __init__(self, source: str, code: str, text: str) -> None:
        self.source, self.code, self.text = source, code, text
        super().__init__(f"{source}: refused by the venue with {code}: {text}")


class UnknownOrder(Rejected):
    """ "Not found" (-2011, 110001). Unknown until both order lists and the history were read."""


class OutcomeUnknown(Transient):
    """An action was sent and no answer came: it may or may not have been carried out. Ask before repeating."""


class NotDelivered(Transient):
    """A notice did not reach its place: told again later. The text names the place, never its URL."""


class ConfigurationError(Permanent):
    """The configuration names something impossible; the text names the key, the value and the mend."""


class StoreUnavailable(Transient):
    """The database did not answer or refused: nothing was committed, or (`maybe_committed`) the answer was lost."""

    def __init__(self, text: str, *, maybe_committed: bool = False) -> None:
        self.maybe_committed = maybe_committed
        super().__init__(text)


class Conflict(Transient):
    """The row changed since it was read (compare-and-set failed): read again, decide again. Nothing was written."""


class NotOwner(Transient):
    """Another process owns the account, or took it over: this write was refused by the store."""
