"""One request on its way through an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trueup.sim.bybit import names
from trueup.sim.bybit.errors import bad_parameter
from trueup.sim.bybit.memory import Memory
from trueup.sim.bybit.params import Params, invalid
from trueup.sim.world import AccountView, World
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.refusals import UnknownSymbol
from trueup.sim.world.types import InstrumentSpec

Result = Mapping[str, object]
UNSUPPORTED_SYMBOL = "Not supported symbols"


@dataclass(frozen=True, slots=True)
class Call:
    """What an endpoint has to answer with. `account` is None on public endpoints."""

    world: World
    memory: Memory
    params: Params
    account: AccountSpec | None
    now_ms: int

    @property
    def owner(self) -> AccountSpec:
        """The account that signed; endpoints that need it are routed only with one."""
        if self.account is None:
            raise TypeError("a private endpoint was called without an account: route it with private=True")
        return self.account

    def view(self) -> AccountView:
        """The owner's books, at the instant that the world shows to readers."""
        return self.world.look(self.owner.name)

    def category(self) -> str:
        """The category; raises 10001 for none or an unknown one."""
        category = self.params.text("category")
        if category not in names.CATEGORIES:
            raise bad_parameter("Illegal category")
        return category

    def trading_category(self) -> str:
        """A category in which this venue trades: linear or inverse."""
        category = self.category()
        if category not in names.SERVED_CATEGORIES:
            raise bad_parameter("params error: symbol invalid")
        return category

    def instrument(self, category: str, text: str = UNSUPPORTED_SYMBOL) -> InstrumentSpec:
        """The contract that `symbol` names, by its wire symbol and in this category."""
        symbol = self.params.text("symbol")
        if not symbol:
            raise invalid("symbol")
        try:
            spec = self.world.instrument("bybit", symbol)
        except UnknownSymbol:
            raise bad_parameter(text) from None
        if spec.symbol != symbol or spec.category != category:
            raise bad_parameter(text)
        return spec


@dataclass(frozen=True, slots=True)
class Extended:
    """A result with something to say in the envelope's `retExtInfo`."""

    result: Result
    extension: Result


Handler = Callable[[Call], Result | Extended]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which contracts an account-wide query is about; None fields do not narrow."""

    category: str
    symbol: str | None
    settle: str | None
    base: str | None

    def holds(self, spec: InstrumentSpec) -> bool:
        return (
            spec.category == self.category
            and self.symbol in (None, spec.symbol)
            and self.settle in (None, spec.settle)
            and self.base in (None, spec.base)
        )


def scope_of(call: Call, category: str) -> Scope:
    """What symbol, settleCoin and baseCoin ask for; a symbol that is not listed is 10001."""
    params = call.params
    symbol = call.instrument(category).symbol if params.has("symbol") else None
    settle = params.text("settleCoin") or None
    base = params.text("baseCoin") or None
    if symbol is not None:
        settle = base = None
    return Scope(category, symbol, settle, base)
