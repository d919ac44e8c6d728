"""The collector's settings in the command's process (bootstrap/garbage.py)."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator

import pytest

from trueup.bootstrap.garbage import OnceStarted, starting
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountReport


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    atexit.unregister(gc.freeze)
    gc.unfreeze()
    gc.set_threshold(*before)


def report(account: str, *, observed: bool) -> AccountReport:
    return AccountReport(account=account, venue="bybit", mode=AccountMode.SYNC, observed=observed)


def test_what_stands_once_every_account_was_looked_at_is_not_looked_through_again() -> None:
    starting()
    seldom = gc.get_threshold()
    once = OnceStarted(["one", "two"])
    once.looked(report("one", observed=True))
    once.looked(report("one", observed=True))
    assert (gc.get_threshold(), gc.get_freeze_count()) == (seldom, 0)
    once.looked(report("two", observed=False))
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] < seldom[0]
    gc.unfreeze()
    once.looked(report("two", observed=True))
    assert gc.get_freeze_count() == 0, "once is enough"
