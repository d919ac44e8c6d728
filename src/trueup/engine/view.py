"""Matching the book's rows to instruments and to what the venue shows: the union of both sides, key by key.

1. The key is account, instrument and side: the legs of a hedge, and a dated contract beside a perpetual, never meet.
2. A row whose symbol fits no instrument, or several, is quarantined with the reason; nothing is guessed.
3. Two active rows of one key: the older one is the position, the other is quarantined.
4. What the operator ignores is on neither side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from trueup.model.changes import ActiveBook
from trueup.model.errors import AmbiguousSymbol, ConfigurationError, UnknownSymbol
from trueup.model.instruments import InstrumentCatalog
from trueup.model.observations import PositionReport, PositionsSnapshot, Quarantined
from trueup.model.orders import Side
from trueup.model.positions import Position, PositionKey

__all__ = ["Keys", "Scope", "Union", "unite"]


@dataclass(frozen=True)
class Scope:
    """Which symbols of an account are looked at."""

    only: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    @classmethod
    def of(cls, account: str, symbols: Iterable[str], ignored: Iterable[str], catalog: InstrumentCatalog) -> Scope:
        """Resolves what the operator wrote.

        Raises:
            ConfigurationError: A symbol fits no instrument of the venue, or several.
        """
        return cls(
            _resolve_all(account, "symbols", symbols, catalog),
            _resolve_all(account, "ignore_symbols", ignored, catalog),
        )

    @property
    def is_everything(self) -> bool:
        return not self.never and not self.only

    def has(self, symbol: str) -> bool:
        return symbol not in self.never and (not self.only or symbol in self.only)


def _resolve_all(account: str, key: str, symbols: Iterable[str], catalog: InstrumentCatalog) -> frozenset[str]:
    try:
        return frozenset(catalog.resolve(text).symbol for text in symbols)
    except (AmbiguousSymbol, UnknownSymbol) as error:
        raise ConfigurationError(f"account {account!r}, {key}: {error}") from error


@dataclass
class Union:
    """Both sides by key.

    Attributes:
        blocked: Symbols for which a row of the book could not be read: nothing is adopted there, it may be that row.
    """

    rows: dict[PositionKey, Position] = field(default_factory=dict)
    reports: dict[PositionKey, PositionReport] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)

    @property
    def keys(self) -> list[PositionKey]:
        """Of either side: the book's rows first, in their order."""
        return [*self.rows, *(key for key in self.reports if key not in self.rows)]


_LONG = Side.LONG  # an enumeration's members are slow to look up


class Keys:
    """One account's keys, each made once: a look names thousands of them."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._longs: dict[str, PositionKey] = {}
        self._shorts: dict[str, PositionKey] = {}

    def of_all(self, ones: Sequence[Position] | Sequence[PositionReport]) -> list[PositionKey]:
        """In their order."""
        longs, shorts = self._longs, self._shorts
        try:
            return [longs[one.symbol] if one.side is _LONG else shorts[one.symbol] for one in ones]
        except KeyError:
            for one in ones:
                by_symbol = longs if one.side is _LONG else shorts
                by_symbol.setdefault(one.symbol, PositionKey(self._account, one.symbol, one.side))
        return self.of_all(ones)


def unite(
    account: str,
    book: ActiveBook,
    view: PositionsSnapshot,
    catalog: InstrumentCatalog,
    scope: Scope,
    keys: Keys | None = None,
) -> Union:
    """The union of what the book and the venue say. `keys`: kept from look to look, they are not made anew."""
    known = keys or Keys(account)
    union = Union(quarantined=list(view.quarantined))
    union.rows = _plainly(book.positions, known, catalog) if scope.is_everything else {}
    if len(union.rows) != len(book.positions):
        union.rows = {}
        for row in book.positions:
            _add_row(union, row, catalog, scope)
    for unreadable in book.unreadable:
        union.quarantined.append(Quarantined(symbol=unreadable.symbol, problem=unreadable.problem))
        _block(union, unreadable.symbol, catalog)
    shown = view.reports if scope.is_everything else [one for one in view.reports if scope.has(one.symbol)]
    union.reports = dict(zip(known.of_all(shown), shown, strict=True))
    return union


def _plainly(rows: Sequence[Position], keys: Keys, catalog: InstrumentCatalog) -> dict[PositionKey, Position]:
    """The rows by key; fewer than there are, where not each has a listed symbol and a key of its own."""
    listed = catalog.symbols
    return dict(zip(keys.of_all(rows), rows, strict=True)) if all(row.symbol in listed for row in rows) else {}


def _add_row(union: Union, row: Position, catalog: InstrumentCatalog, scope: Scope) -> None:
    resolved = _resolved(row, catalog)
    if isinstance(resolved, Quarantined):
        union.quarantined.append(resolved)
        _block(union, row.symbol, catalog)
        return
    if not scope.has(resolved.symbol):
        return
    other = union.rows.get(resolved.key)
    if other is not None:
        problem = (
            f"positions row {row.position_id} ({row.written_symbol} {row.side.value}): a second active row of the position in "
            f"row {other.position_id}; close one of them"
        )
        union.quarantined.append(Quarantined(symbol=resolved.symbol, problem=problem))
        return
    union.rows[resolved.key] = resolved


def _resolved(row: Position, catalog: InstrumentCatalog) -> Position | Quarantined:
    """The row under its unified symbol. One that was matched before keeps it, even when the contract is no longer listed."""
    if row.symbol in catalog or row.contract_size is not None:
        return row
    try:
        symbol = catalog.resolve(row.symbol).symbol
    except (AmbiguousSymbol, UnknownSymbol) as error:
        return Quarantined(symbol=row.symbol, problem=f"positions row {row.position_id}: {error}")
    return msgspec.structs.replace(row, symbol=symbol)


def _block(union: Union, text: str, catalog: InstrumentCatalog) -> None:
    try:
        union.blocked.add(catalog.resolve(text).symbol)
    except AmbiguousSymbol as error:
        union.blocked.update(error.candidates)
    except UnknownSymbol:
        return
