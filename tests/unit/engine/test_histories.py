"""What is read of the past, and what is made of what cannot be read."""

from __future__ import annotations

from typing import cast

import pytest

from tests.unit.core.core_cases import BTC, LONG, T0, VIEW, case, mark_of, row
from trueup.core.cases import Close, Suspect, Verdict
from trueup.engine.histories import Histories
from trueup.model.errors import Unlisted, Unobserved
from trueup.model.observations import SecondSurface
from trueup.ports import Venue


class Delisting:
    """A venue that answers for its account, and about one contract not at all: `error` says why."""

    def __init__(self, error: Unobserved, surface: SecondSurface) -> None:
        self.error = error
        self.surface = surface
        self.asked = 0

    async def fills(self, symbol: str, since_ms: int, before_ms: int | None = None) -> None:
        self.asked += 1
        raise self.error

    async def positions(self, symbol: str) -> None:
        raise self.error

    async def second_surface(self) -> SecondSurface:
        return self.surface


async def decided(venue: Delisting) -> Verdict:
    book = row(seen=T0 + 10, changed=T0)
    about = case(book, None, instrument=None, mark=mark_of(book))
    ((_, verdict),) = await Histories(cast("Venue", venue)).decide([(about, None)])
    return verdict


def surface(**more: object) -> SecondSurface:
    return SecondSurface(account="main", as_of_ms=VIEW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "outcome"),
    [
        (surface(informative=True), "closed"),
        (surface(open_keys=((BTC, LONG),), informative=True), "suspected"),
        (surface(any_position_margin=True), "held"),
    ],
    ids=["flat", "open", "cannot-tell"],
)
async def test_of_a_contract_that_is_listed_no_more_the_account_alone_is_asked(
    account: SecondSurface, outcome: str
) -> None:
    venue = Delisting(Unlisted("binance trades", "not listed"), account)
    verdict = await decided(venue)
    assert isinstance(verdict, Close) is (outcome == "closed")
    assert isinstance(verdict, Suspect) is (outcome != "closed")
    assert bool(getattr(verdict, "inconclusive", None)) is (outcome == "held")
    assert venue.asked == 1


async def test_a_market_list_that_could_not_be_read_tells_nothing() -> None:
    verdict = await decided(Delisting(Unobserved("binance markets", "503"), surface(informative=True)))
    assert isinstance(verdict, Suspect)
    assert "503" in verdict.why
