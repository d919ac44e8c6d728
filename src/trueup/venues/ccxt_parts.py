"""The few parts of ccxt that are used, without the rest of it.

ccxt's packages import every exchange that it knows, each twice: a second of processor time and some fifty MiB, for two of them.
Here a package is set up without running what it says; the first time that anything else is asked of it (a bot in this process
wants `ccxt.kraken`) it runs that, and is what it always is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["binanceusdm", "bybit", "errors"]


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


def _set_up(name: str) -> None:
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"{name} is not installed; install trueup with its dependencies")
    package = _Package(name)
    package.__spec__ = spec
    package.__file__ = spec.origin
    package.__loader__ = spec.loader
    package.__package__ = name
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package


_set_up("ccxt")
_set_up("ccxt.async_support")

from ccxt.async_support.binanceusdm import binanceusdm  # noqa: E402
from ccxt.async_support.bybit import bybit  # noqa: E402
from ccxt.base import errors  # noqa: E402
