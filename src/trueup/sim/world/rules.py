"""Where the two venues differ in what the world does; the wires know the texts, this knows the behaviour.

What Binance does with close-position stops is undocumented and was settled from reports: since conditional orders moved
to its Algo Service they carry the time in force GTE_GTC, are refused with -4509 while there is no position, and end
with it (binance-connector-python issue 446, ccxt/go-binance issue 681), whereas reduce-only stops with a quantity stay
behind (freqtrade issue 12681). Bybit's position-attached stops end with the position, its other conditional orders
stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trueup.sim.world.types import Venue


@dataclass(frozen=True, slots=True)
class VenueRules:
    """Behaviour of one venue.

    `child_keeps_id`: a triggered conditional order goes on under its own id. `hedge_takes_reduce_only`: the flag is
    taken (and redundant) in hedge mode. `one_close_position_stop`: a second open close-position order of one kind and
    direction is refused. `close_position_needs_position`: close-position orders are refused while flat and expire with
    the position; so do those with time in force GTE_GTC. Every other conditional order survives its position on both
    venues and is refused when it triggers: the orphans that a bot must sweep.
    `reduce_only_stop_needs_position`: a reduce-only conditional order is refused while flat.
    `shrinks_reduce_only`: a reduce-only quantity beyond the position is cut to it (else the rest expires unfilled; a
    hedge exit beyond its leg is refused). `client_ids_unique_for_ever`: else among open orders only.
    `bad_time_in_force_cancels`: post-only and fill-or-kill orders that cannot stand are accepted and cancelled (else
    refused). `open_conditionals_limit` is per account, `symbol_conditionals_limit` per symbol.
    """

    venue: Venue
    child_keeps_id: bool
    hedge_takes_reduce_only: bool
    one_close_position_stop: bool
    close_position_needs_position: bool
    reduce_only_stop_needs_position: bool
    shrinks_reduce_only: bool
    client_ids_unique_for_ever: bool
    bad_time_in_force_cancels: bool
    makes_client_ids: bool
    open_orders_limit: int
    open_conditionals_limit: int | None
    symbol_conditionals_limit: int | None
    first_order_id: int
    first_conditional_id: int


RULES: Mapping[Venue, VenueRules] = MappingProxyType(
    {
        "binance": VenueRules(
            venue="binance",
            child_keeps_id=False,
            hedge_takes_reduce_only=False,
            one_close_position_stop=True,
            close_position_needs_position=True,
            reduce_only_stop_needs_position=False,
            shrinks_reduce_only=False,
            client_ids_unique_for_ever=False,
            bad_time_in_force_cancels=False,
            makes_client_ids=True,
            open_orders_limit=200,
            open_conditionals_limit=200,
            symbol_conditionals_limit=None,
            first_order_id=8_886_774_001,
            first_conditional_id=1_000_000_033_225_001,
        ),
        "bybit": VenueRules(
            venue="bybit",
            child_keeps_id=True,
            hedge_takes_reduce_only=True,
            one_close_position_stop=False,
            close_position_needs_position=False,
            reduce_only_stop_needs_position=True,
            shrinks_reduce_only=True,
            client_ids_unique_for_ever=True,
            bad_time_in_force_cancels=True,
            makes_client_ids=False,
            open_orders_limit=500,
            open_conditionals_limit=None,
            symbol_conditionals_limit=10,
            first_order_id=1_001,
            first_conditional_id=1_001,
        ),
    }
)
