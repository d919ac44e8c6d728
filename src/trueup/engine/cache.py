"""The in-memory positions: a read-only mapping derived from committed rows and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from types import MappingProxyType
from typing import TypeVar, cast

from trueup.model.decimals import ZERO
from trueup.model.errors import AmbiguousSymbol
from trueup.model.instruments import normalize_symbol
from trueup.model.positions import Position, PositionKey

__all__ = ["PositionCache", "exposure_of", "key_of"]

V = TypeVar("V")


def key_of(symbol: object, known: Mapping[PositionKey, V]) -> PositionKey | None:
    """The key that a full key or a bare symbol (unified, or the old database form) names; None if there is none.

    Raises:
        AmbiguousSymbol: A bare symbol that several positions bear.
    """
    if isinstance(symbol, tuple):
        return next((key for key in known if key == symbol), None) if symbol in known else None
    if not isinstance(symbol, str):
        return None
    found = [key for key in known if key.symbol == symbol] or [
        key for key in known if normalize_symbol(key.symbol) == symbol
    ]
    if len(found) > 1:
        raise AmbiguousSymbol(symbol, tuple(sorted(str(key) for key in found)), "positions")
    return found[0] if found else None


def exposure_of(rows: Iterable[Position]) -> Decimal:
    """Sum of what the positions are worth at entry, in quote units: quantity times contract size times entry price.

    An inverse contract is worth its contract size in quote units. A row without an entry price adds nothing.
    """
    total = ZERO
    for row in rows:
        size = row.contract_size if row.contract_size is not None else Decimal(1)
        settle = row.symbol.partition(":")[2].partition("-")[0]
        inverse = bool(settle) and row.symbol.startswith(settle + "/")
        if inverse:
            total += row.quantity * size
        elif row.entry_price is not None:
            total += row.quantity * size * row.entry_price
    return total


class PositionCache(Mapping[PositionKey, Position]):
    """Open positions by ``(account, symbol, side)``; a bare symbol is accepted where it is unique.

    Looking up a bare symbol that several positions bear raises `AmbiguousSymbol` with the candidates.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, dict[PositionKey, Position]] = {}

    def replace_account(self, account: str, rows: Iterable[Position]) -> list[Position]:
        """Makes the account's part equal to its committed active rows; returns the rows that are no longer there."""
        fresh = {row.key: row for row in rows}
        kept = {row.position_id for row in fresh.values()}
        gone = [row for row in self._accounts.get(account, {}).values() if row.position_id not in kept]
        self._accounts[account] = fresh
        return gone

    def _find(self, key: object) -> Position | None:
        if isinstance(key, tuple):
            return (
                self._accounts.get(key[0], {}).get(cast("PositionKey", key))
                if len(key) == len(PositionKey._fields)
                else None
            )
        found = key_of(key, self)
        return self._accounts[found.account][found] if found is not None else None

    def of_account(self, account: str) -> Mapping[PositionKey, Position]:
        """One account's part."""
        return MappingProxyType(self._accounts.get(account, {}))

    def __getitem__(self, key: object) -> Position:
        row = self._find(key)
        if row is None:
            raise KeyError(key)
        return row

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __iter__(self) -> Iterator[PositionKey]:
        return chain.from_iterable(self._accounts.values())

    def __len__(self) -> int:
        return sum(map(len, self._accounts.values()))

    def __repr__(self) -> str:
        return f"PositionCache({', '.join(map(str, self))})"
