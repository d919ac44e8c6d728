"""trueup keeps a trading bot's book true to the exchange.

The names here are the library; everything else may change between releases.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueup.bootstrap import open_manager
    from trueup.engine.manager import PositionManager
    from trueup.engine.synchronizer import PositionSynchronizer, synchronize_positions_on_startup
    from trueup.engine.trailing import SmartTrailingStopManager
    from trueup.model.errors import AmbiguousSymbol, ConfigurationError, NotOwner, StoreUnavailable, TrueupError
    from trueup.model.events import EventType
    from trueup.model.instruments import normalize_symbol

__all__ = [
    "AmbiguousSymbol",
    "ConfigurationError",
    "EventType",
    "NotOwner",
    "PositionManager",
    "PositionSynchronizer",
    "SmartTrailingStopManager",
    "StoreUnavailable",
    "TrueupError",
    "__version__",
    "normalize_symbol",
    "open_manager",
    "synchronize_positions_on_startup",
]

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        ("AmbiguousSymbol", "ConfigurationError", "NotOwner", "StoreUnavailable", "TrueupError"), "trueup.model.errors"
    ),
    "EventType": "trueup.model.events",
    "PositionManager": "trueup.engine.manager",
    "PositionSynchronizer": "trueup.engine.synchronizer",
    "SmartTrailingStopManager": "trueup.engine.trailing",
    "normalize_symbol": "trueup.model.instruments",
    "open_manager": "trueup.bootstrap",
    "synchronize_positions_on_startup": "trueup.engine.synchronizer",
}


def __getattr__(name: str) -> object:
    """Loads a name at its first use: `trueup --help` pays for none of them."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trueup' has no attribute {name!r}")
    return getattr(import_module(home), name)
