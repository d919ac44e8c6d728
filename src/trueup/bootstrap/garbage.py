"""The garbage collector of the command's own process: seldom while it starts, often and cheaply once it runs.

1. Starting makes hundreds of thousands of things that stay, and hardly a cycle: looking through them again and again is a tenth
   of it.
2. Running makes little that stays; nearly all goes by itself, but what fails leaves cycles of tracebacks, and whole answers
   hang on them.
3. What stands when every account has been looked at once is not looked through again (`gc.freeze`): a full collection is a
   matter of milliseconds then, with a thousand accounts too.
4. What still stands when the process ends goes with it: nobody looks for cycles in it.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueup.model.reports import AccountReport

__all__ = ["OnceStarted", "as_running", "starting"]

_WHILE_STARTING = (20_000, 20, 100)
_RUNNING = (2_000, 5, 5)


def starting() -> None:
    """To be called first of all, in a process of one's own."""
    atexit.register(gc.freeze)
    gc.set_threshold(*_WHILE_STARTING)


class OnceStarted:
    """Sets the collector when the last of the accounts has been looked at, well or not."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self._waiting = set(accounts)

    def looked(self, report: AccountReport) -> None:
        if not self._waiting:
            return
        self._waiting.discard(report.account)
        if not self._waiting:
            _run()


def _run() -> None:
    gc.collect()
    gc.freeze()
    gc.collect()  # the next full one comes when a quarter as much is new as this one leaves: that is next to nothing
    gc.set_threshold(*_RUNNING)


@contextmanager
def as_running() -> Iterator[None]:
    """The collector as it is in a daemon whose accounts were all looked at, for a while: for what measures it."""
    before = gc.get_threshold()
    _run()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
