"""ccxt without the hundred exchanges that are not used: for the `trueup` command, whose process is its own.

1. ccxt's packages import every exchange that it knows, each twice. Here they are set up without running what they say, so that
   their parts can be imported one by one.
2. The first time that anything else is asked of a package it runs as ever, and is what it always is.
3. Nobody's process is touched by importing this: a bot that uses trueup as a library finds ccxt as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["load_ccxt_sparingly"]


def load_ccxt_sparingly() -> None:
    """To be called before ccxt is imported; what is loaded already stays as it is."""
    for name in ("ccxt", "ccxt.async_support"):
        if not _set_up(name):
            return


class _Package(ModuleType):
    """A package that has not run yet: its submodules can be imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(name)
        if self.__name__ == "ccxt":  # its own parts ask it for these
            part = importlib.import_module("ccxt.base.exchange" if name == "Exchange" else "ccxt.base.errors")
            if hasattr(part, name):
                return getattr(part, name)
        _run(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        """A submodule that was imported hides nothing that the package itself gives that name, as most of them are given."""
        if not isinstance(value, ModuleType):
            super().__setattr__(name, value)


def _run(package: _Package) -> None:
    spec, name = package.__spec__, package.__name__
    assert spec is not None
    assert spec.loader is not None
    package.__class__ = ModuleType  # type: ignore[assignment]
    spec.loader.exec_module(package)
    for child, module in list(sys.modules.items()):
        if child.rpartition(".")[0] == name:
            vars(package).setdefault(child.rpartition(".")[2], module)


def _set_up(name: str) -> bool:
    """Whether it is one now; else it is loaded already, or not there at all, as its import will say."""
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None:
        return False
    package = _Package(name)
    package.__spec__ = spec
    package.__file__ = spec.origin
    package.__loader__ = spec.loader
    package.__package__ = name
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package
    return True
