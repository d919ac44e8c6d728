"""Instruments, and the one way from a written symbol to an instrument.

1. An instrument comes from the venue's market list and from nowhere else.
2. The unified symbol names exactly one instrument: ``BASE/QUOTE:SETTLE`` for a perpetual, ``…-YYMMDD`` for a dated one.
3. A text that fits several instruments is an error that lists them; nothing is guessed.

Source: the notation is ccxt's (docs.ccxt.com, "Contract naming conventions").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from decimal import Decimal
from enum import StrEnum

from trueup.model.errors import AmbiguousSymbol, InvariantBroken, UnknownSymbol
from trueup.model.values import Value

__all__ = ["ContractKind", "Instrument", "InstrumentCatalog", "normalize_symbol", "unified_symbol"]


class ContractKind(StrEnum):
    PERPETUAL = "perpetual"
    DATED = "dated"


class Instrument(Value, frozen=True, kw_only=True):
    """One contract that a venue lists.

    Attributes:
        symbol: Unified, e.g. ``BTC/USDT:USDT-261225``.
        venue_symbol: The venue's own id, e.g. ``BTCUSDT_261225``.
        category: Bybit's category (``linear``/``inverse``); ``linear`` for Binance USDⓈ-M.
        contract_size: Base units (linear) or quote units (inverse) of one contract.
        price_tick, quantity_step: The venue's increments; None where it states none.
        expires_at_ms: Delivery time of a dated contract.
    """

    venue: str
    symbol: str
    venue_symbol: str
    category: str
    kind: ContractKind
    base: str
    quote: str
    settle: str
    contract_size: Decimal
    inverse: bool = False
    price_tick: Decimal | None = None
    quantity_step: Decimal | None = None
    min_quantity: Decimal | None = None
    max_market_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    expires_at_ms: int | None = None
    tradable: bool = True


def unified_symbol(base: str, quote: str, settle: str, expiry_yymmdd: str | None = None) -> str:
    """``("BTC", "USDT", "USDT", "261225")`` → ``"BTC/USDT:USDT-261225"``."""
    symbol = f"{base}/{quote}:{settle}"
    return f"{symbol}-{expiry_yymmdd}" if expiry_yymmdd else symbol


def normalize_symbol(symbol: str) -> str:
    """The old database form of a unified symbol: ``HIGH/USDT:USDT`` → ``HIGHUSDT``; other text is returned as it is.

    It drops the settle coin and the expiry, so several instruments share one result (a perpetual and its dated
    siblings, two inverse contracts). Compare rows with `InstrumentCatalog.resolve` instead; this is kept for callers
    of the original system.
    """
    if "/" in symbol and ":" in symbol:
        return symbol.split(":", 1)[0].replace("/", "")
    return symbol


_NOTHING: Mapping[str, Instrument] = {}


class InstrumentCatalog:
    """The venue's market list, indexed by every way in which people write its symbols."""

    def __init__(self, venue: str, instruments: Iterable[Instrument]) -> None:
        self.venue = venue
        self._by_symbol: dict[str, Instrument] = {}
        self._by_category: dict[str, dict[str, Instrument]] = {}
        self._by_text: dict[str, list[Instrument]] = {}
        self._settles: dict[str, dict[str, None]] = {}
        for instrument in instruments:
            if instrument.symbol in self._by_symbol:
                raise InvariantBroken(f"{venue}: two instruments bear the unified symbol {instrument.symbol}")
            self._by_symbol[instrument.symbol] = instrument
            self._by_category.setdefault(instrument.category, {})[instrument.venue_symbol] = instrument
            self._settles.setdefault(instrument.category, {})[instrument.settle] = None
            for text in {instrument.venue_symbol, normalize_symbol(instrument.symbol)}:
                self._by_text.setdefault(text, []).append(instrument)

    def __len__(self) -> int:
        return len(self._by_symbol)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_symbol.values())

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._by_symbol

    @property
    def symbols(self) -> Set[str]:
        """Every unified symbol."""
        return self._by_symbol.keys()

    def get(self, symbol: str) -> Instrument | None:
        """By exact unified symbol."""
        return self._by_symbol.get(symbol)

    def by_venue_symbol(self, category: str, venue_symbol: str) -> Instrument | None:
        """By the venue's own id within its category: the exact key of an answer's row."""
        return self.listed(category).get(venue_symbol)

    def listed(self, category: str) -> Mapping[str, Instrument]:
        """A category's instruments by the venue's own id: for an answer of many rows."""
        return self._by_category.get(category, _NOTHING)

    def settles(self, category: str) -> Iterable[str]:
        """The coins that a category's instruments settle in, each once, in the order of the list."""
        return self._settles.get(category, ())

    def resolve(self, text: str) -> Instrument:
        """The one instrument that a row's symbol names.

        In this order: the exact unified symbol; the venue's own id (``BTCUSDT`` is the perpetual where the venue itself
        calls only that one so); the old database form, where just one listed instrument has it.

        Raises:
            AmbiguousSymbol: Several fit; `candidates` lists them.
            UnknownSymbol: None fits.
        """
        exact = self._by_symbol.get(text)
        if exact is not None:
            return exact
        found = self._by_text.get(text, [])
        own = [instrument for instrument in found if instrument.venue_symbol == text]
        if len(own) == 1:
            return own[0]
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousSymbol(text, tuple(sorted(i.symbol for i in found)), f"symbol on {self.venue}")
        raise UnknownSymbol(
            f"symbol on {self.venue}: {text!r} is not in its market list of {len(self)} contracts; "
            "write it as the venue lists it (BTCUSDT) or in unified form (BTC/USDT:USDT)"
        )
