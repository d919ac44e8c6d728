"""Positions and stops that move while a pass is under way: what is done is right for what stands when it is done."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from tests.support.guard import D, Guard, open_house
from trueup.model.errors import Rejected
from trueup.model.observations import PositionReport
from trueup.model.orders import OrderStatus

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


class _Between:
    """The venue, with something that happens at some of its calls; each is given the real call and its arguments."""

    def __init__(self, guard: Guard, **calls: Any) -> None:
        self._venue, self._calls = guard.venue, calls

    def __getattr__(self, name: str) -> Any:
        real, instead = getattr(self._venue, name), self._calls.get(name)
        if instead is None:
            return real

        async def call(*given: Any) -> Any:
            return await instead(real, *given)

        return call


def _meanwhile(guard: Guard, **calls: Any) -> None:
    guard.venue = cast("Any", _Between(guard, **calls))
    guard.restart()


def _is_ours(order: Any) -> bool:
    return (order.client_order_id or "").startswith("tu-")


@BOTH
async def test_no_stop_is_swept_that_covers_a_position_which_grew_again(venue: str) -> None:
    async with open_house() as house:
        guard = house.guard("g", venue)
        guard.world.open_position("g", "ETHUSDT", "long", "2")
        await guard.run()
        guard.world.open_position("g", "ETHUSDT", "long", "3")
        placed = grown = False

        async def place(real: Any, *given: Any) -> None:
            nonlocal placed
            await real(*given)
            placed = True

        async def listed(real: Any, symbol: str | None = None) -> Any:
            nonlocal grown
            found = await real(symbol)
            if placed and not grown:
                grown = True
                guard.world.advance(5)
                guard.world.open_position("g", "ETHUSDT", "long", "2")
                guard.world.advance(5)
            return found

        _meanwhile(guard, place_stop=place, open_orders=listed)
        await guard.run()
        assert grown
        await guard.run()
        assert guard.judge.lost == []
        assert [order.quantity for order in guard.ours()] == [7]


@BOTH
async def test_a_position_that_is_being_built_has_stops_all_along(venue: str) -> None:
    async with open_house() as house:
        guard = house.guard("g", venue)
        guard.world.open_position("g", "ETHUSDT", "long", "2")

        async def positions(real: Any, symbol: str | None = None) -> Any:
            if symbol is not None:  # the fresh look before each act
                guard.world.advance(5)
                guard.world.open_position("g", "ETHUSDT", "long", "0.1")
                guard.world.advance(300)
            return await real(symbol)

        _meanwhile(guard, positions=positions)
        for _ in range(3):
            await guard.run(confirm=False)
            assert guard.ours()
        guard.venue = guard.venue._venue  # type: ignore[attr-defined]
        guard.restart()
        await guard.run()
        row = await guard.row()
        assert [order.quantity for order in guard.ours()] == [row.quantity]
        assert guard.judge.lost == []


@BOTH
async def test_a_stop_that_fires_before_it_is_swept_stays_what_it_was(venue: str) -> None:
    async with open_house() as house:
        guard = house.guard("g", venue)
        guard.world.set_price("ETHUSDT", "3000")
        guard.world.open_position("g", "ETHUSDT", "long", "2")
        await guard.run()
        [old] = guard.ours()
        guard.world.open_position("g", "ETHUSDT", "long", "3")
        fell = False

        async def listed(real: Any, symbol: str | None = None) -> Any:
            nonlocal fell
            found = await real(symbol)
            if not fell and sum(map(_is_ours, found.orders)) == 2:
                fell = True
                guard.world.advance(5)
                guard.world.set_price("ETHUSDT", "2800")
                guard.world.advance(5)
            return found

        _meanwhile(guard, open_orders=listed)
        await guard.run()
        await guard.run()
        [row] = await guard.store.positions(status="closed", account="g")
        kept = [
            one for one in await guard.store.orders_of(row.position_id) if one.client_order_id == old.client_order_id
        ]
        assert fell
        assert OrderStatus.CANCELLED not in {one.status for one in kept}
        swept = {event["order_id"] for event in await guard.events("STOP_SWEPT")}
        assert not swept & {one.order_id for one in kept}


@BOTH
async def test_a_stop_that_was_placed_before_a_crash_is_told_after_it(venue: str) -> None:
    class Died(BaseException):
        pass

    async with open_house() as house:
        guard = house.guard("g", venue)
        guard.world.open_position("g", "ETHUSDT", "long", "2")

        async def place(real: Any, *given: Any) -> None:
            await real(*given)
            raise Died

        alive = guard.venue
        _meanwhile(guard, place_stop=place)
        with pytest.raises(Died):
            await guard.run()
        guard.venue = alive
        guard.restart()
        report = await guard.run()
        assert len(guard.ours()) == 1
        assert len(await guard.events("STOP_PLACED")) == 1
        assert len(report.protection.placed) == 1


async def test_what_is_left_of_a_close_that_cannot_be_carried_out_has_a_stop_of_its_quantity() -> None:
    async with open_house() as house:
        guard = house.guard("g", "binanceusdm", hedge=True)
        guard.world.set_price("ETHUSDT", "3000")
        guard.world.open_position("g", "ETHUSDT", "long", "10")
        await guard.run()
        filled = False

        async def close(real: Any, report: PositionReport, client_id: str) -> None:
            nonlocal filled
            if filled:
                raise Rejected("binance close", "-4131", "PERCENT_PRICE")
            filled = True
            await real(msgspec.structs.replace(report, quantity=D(6)), client_id)

        _meanwhile(guard, close_market=close)
        await guard.manager.load_positions_from_db()
        await guard.manager.close_position("ETH/USDT:USDT")
        for _ in range(3):
            guard.world.advance(30_000)
            await guard.run(confirm=False)
        assert (await guard.row()).quantity == 4
        assert [order.quantity for order in guard.ours()] == [4]
