"""One request on its way through an endpoint: what was sent, by whom, and the world that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trueup.sim.binance.errors import bad_symbol, missing
from trueup.sim.binance.limits import Limits
from trueup.sim.binance.listen_keys import ListenKeys
from trueup.sim.binance.params import Params
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.refusals import UnknownSymbol
from trueup.sim.world.types import InstrumentSpec
from trueup.sim.world.view import AccountView
from trueup.sim.world.world import World

Answer = dict[str, Any] | list[Any]
"""What an endpoint answers, ready to be encoded."""


@dataclass(slots=True)
class Call:
    """`account` is set on every endpoint that asks for a key."""

    world: World
    params: Params
    limits: Limits
    listen_keys: ListenKeys
    account: AccountSpec | None = None

    @property
    def owner(self) -> AccountSpec:
        """The account that asks; the route guarantees that there is one."""
        if self.account is None:
            msg = "an endpoint that needs an account has a route without security"
            raise RuntimeError(msg)
        return self.account

    @property
    def view(self) -> AccountView:
        return self.world.look(self.owner.name)

    @property
    def now_ms(self) -> int:
        return self.world.now_ms()

    def instruments(self) -> list[InstrumentSpec]:
        return self.world.instruments("binance")

    def find_instrument(self) -> InstrumentSpec | None:
        """The instrument of the `symbol` parameter, None when it was not sent; raises -1121."""
        symbol = self.params.text("symbol")
        if symbol is None:
            return None
        try:
            spec = self.world.instrument("binance", symbol)
        except UnknownSymbol:
            raise bad_symbol() from None
        if spec.symbol != symbol:
            raise bad_symbol()
        return spec

    def instrument(self) -> InstrumentSpec:
        """The instrument of the mandatory `symbol` parameter."""
        spec = self.find_instrument()
        if spec is None:
            raise missing("symbol")
        return spec


Handler = Callable[[Call], Answer]
