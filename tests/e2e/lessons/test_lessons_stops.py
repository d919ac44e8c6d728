"""Lessons 13, 14, 17, 21 and 27: stops that pile up, that are replaced, kept over a restart, without a quantity, out of reach."""

from __future__ import annotations

from decimal import Decimal

from lesson_desk import Desk, open_desk, reopened, settings_of

from tests.support.bench import Bench
from tests.support.guard import Judge
from tests.support.lessons import lesson
from trueup.bootstrap.wiring import open_program
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import ConditionalKind, ConditionalOrder, Leg, OrderType, Side, TriggerBy

D = Decimal
ETH = "ETHUSDT"


def _stops(desk: Desk) -> list[ConditionalOrder]:
    """What stands under the long, by the venue's own record."""
    return list(desk.world.look(desk.name).live_stops(ETH, Leg.NET))


@lesson(13, words="stops of ours that piled up are swept to one")
async def test_lesson_13_stops_that_piled_up(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true"}
    async with open_desk(bench, venue, "protect") as desk:
        judge = Judge(desk.world, desk.name)
        desk.world.open_position(desk.name, ETH, "long", "2")
        (adopted,) = (await desk.sync(0)).added_missing
        [first] = _stops(desk)
        piled = 50 if venue == "binanceusdm" else 9  # Bybit takes ten of a symbol
        for number in range(piled):
            desk.stop(ETH, "long", "2", str(2400 + number), client_id=f"tu-sl-{adopted.position_id}-{number}-0")
        assert len(_stops(desk)) == 1 + piled
        report = await desk.sync(0)
        assert (len(report.protection.cancelled), report.protection.failed) == (piled, ())
        assert [stop.conditional_id for stop in _stops(desk)] == [first.conditional_id], "the one that protects most"
        assert judge.lost == []
        assert (await desk.sync(0)).protection.placed == ()


@lesson(14)
async def test_lesson_14_stop_is_replaced(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true"}
    async with open_desk(bench, venue, "protect") as desk:
        judge = Judge(desk.world, desk.name)
        desk.world.open_position(desk.name, ETH, "long", "2")
        await desk.sync(0)
        [first] = _stops(desk)
        for act, quantity in (("open_position", D(3)), ("reduce_position", D("2.5"))):
            getattr(desk.world, act)(desk.name, ETH, "long", "1" if act == "open_position" else "0.5")
            report = await desk.sync(0)
            assert [order.quantity for order in report.protection.placed] == [quantity]
            assert len(report.protection.cancelled) == 1
            [stop] = _stops(desk)
            assert (stop.quantity, stop.trigger_price) == (quantity, first.trigger_price)
        assert judge.lost == [], "at no instant was less covered than before"
        assert judge.most_of_ours == 2, "for a moment both stood"


@lesson(14, words="moved by the bot: the new one stands before the old one goes")
async def test_lesson_14_the_bot_moves_its_stop(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true"}
    async with open_desk(bench, venue, "protect") as desk:
        judge = Judge(desk.world, desk.name)
        desk.world.open_position(desk.name, ETH, "long", "2")
        await desk.sync(0)
        bench.execute("UPDATE positions SET stop_loss = '2940'")
        await desk.sync(0)
        [stop] = _stops(desk)
        assert stop.trigger_price == 2940
        assert judge.lost == []


@lesson(17, words="the stop is state of the store and the venue: a restart neither loses nor doubles it")
async def test_lesson_17_the_stop_survives_a_restart(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true"}
    async with open_desk(bench, venue, "protect") as desk:
        desk.world.open_position(desk.name, ETH, "long", "2")
        (adopted,) = (await desk.sync(0)).added_missing
    [before] = _stops(desk)
    await _check_stops(desk, adopted.position_id, standing=before, ended=[])

    async with reopened(desk) as again:
        report = await again.sync(0)
    assert report.protection.placed == report.protection.cancelled == report.protection.unprotected == ()
    await _check_stops(desk, adopted.position_id, standing=before, ended=[])

    desk.world.reduce_position(desk.name, ETH, "long", "0.5")  # while nothing runs
    async with reopened(desk) as again:
        report = await again.sync(0)
    [after] = _stops(desk)
    assert after.conditional_id != before.conditional_id
    assert (after.quantity, after.trigger_price) == (D("1.5"), before.trigger_price)
    assert (len(report.protection.placed), len(report.protection.cancelled)) == (1, 1)
    await _check_stops(desk, adopted.position_id, standing=after, ended=[before])

    desk.world.cancel_conditional(desk.name, after.conditional_id)  # somebody's hand, while nothing runs
    assert _stops(desk) == []
    async with reopened(desk) as again:
        await again.sync(0)
    [replaced] = _stops(desk)
    assert (replaced.quantity, replaced.trigger_price) == (after.quantity, after.trigger_price)
    await _check_stops(desk, adopted.position_id, standing=replaced, ended=[before, after])

    async with reopened(desk) as again:
        report = await again.sync(0)
    assert report.protection.placed == report.protection.cancelled == ()
    await _check_stops(desk, adopted.position_id, standing=replaced, ended=[before, after])


@lesson(17, words="a bot's own stop price is read from its row, whatever the market did while nothing ran")
async def test_lesson_17_the_bots_stop_price_survives_a_restart(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        position = desk.world.open_position(desk.name, ETH, "short", "2")
        bench.insert_row(desk.name, venue, ETH, "short", "2", str(position.entry_price))
        bench.execute("UPDATE positions SET stop_loss = '3111.5', take_profit = '2500'")
        (row,) = (await desk.sync(0)).verified
    [before] = _stops(desk)
    assert before.trigger_price == D("3111.5")
    desk.world.cancel_conditional(desk.name, before.conditional_id)
    desk.world.set_price(ETH, "2900")
    async with reopened(desk) as again:
        await again.sync(0)
    [after] = _stops(desk)
    assert (after.trigger_price, after.side, after.quantity) == (D("3111.5"), Side.BUY, D(2))
    await _check_stops(desk, row.position_id, standing=after, ended=[before])
    (kept,) = await desk.active()
    assert (D(kept["stop_loss"]), D(kept["take_profit"])) == (D("3111.5"), D(2500))


async def _check_stops(desk: Desk, number: int, *, standing: ConditionalOrder, ended: list[ConditionalOrder]) -> None:
    """Counted on the venue and in the store: every order that ever was, and the one of them that stands."""
    every = desk.world.look(desk.name).conditionals(ETH)
    known = {standing.conditional_id, *(order.conditional_id for order in ended)}
    assert len(every) == len(known)
    assert {order.conditional_id for order in every} == known
    assert [order.conditional_id for order in every if order.is_open] == [standing.conditional_id]
    assert standing.client_order_id.startswith(f"tu-sl-{number}-")
    rows = await desk.rows("orders")
    assert {row["position_id"] for row in rows} == {number}
    assert len({row["order_id"] for row in rows}) == len(rows) == len(known)
    (recorded,) = [row for row in rows if row["status"] == "open"]
    assert (recorded["client_order_id"], bool(recorded["ours"])) == (standing.client_order_id, True)
    assert (D(recorded["trigger_price"]), D(recorded["quantity"])) == (standing.trigger_price, standing.quantity)
    assert [row["id"] for row in await desk.active()] == [number]
    assert {effect["state"] for effect in await desk.acts()} == {"done"}
    assert len([row for row in await desk.rows("events") if row["type"] == "STOP_PLACED"]) == len(known)


@lesson(21)
async def test_lesson_21_close_position_stop_has_no_quantity(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true"}
    async with open_desk(bench, venue, "protect") as desk:
        desk.world.open_position(desk.name, ETH, "long", "2")
        request = ConditionalRequest(
            symbol=ETH,
            side=Side.SELL,
            kind=ConditionalKind.STOP,
            order_type=OrderType.MARKET,
            quantity=None,
            trigger_price=D(2900),
            trigger_by=TriggerBy.MARK,
            reduce_only=venue == "bybit",
            close_position=True,
        )
        theirs = desk.world.place_conditional(desk.name, request)
        for quantity in ("0", "1"):
            if quantity != "0":
                desk.world.open_position(desk.name, ETH, "long", quantity)
            async with open_program(settings_of(bench)) as program:
                report = await program.manager.sync_exchange_positions(desk.name)
            assert report.exit_code == 0
            assert report.protection.placed == report.protection.unprotected == ()
            assert [stop.conditional_id for stop in _stops(desk)] == [theirs.conditional_id]


@lesson(27)
async def test_lesson_27_stop_beyond_the_liquidation_price(bench: Bench, venue: str) -> None:
    bench.protection = {"protect_adopted": "true", "stop_loss_percent": '"20.0"'}
    async with open_desk(bench, venue, "protect") as desk:
        desk.world.set_leverage(desk.name, ETH, D(50))
        spent = desk.world.look(desk.name).wallet("USDT")
        desk.world.transfer(desk.name, "USDT", D(5_000) - spent)
        desk.world.open_position(desk.name, ETH, "long", "30")
        view = desk.world.look(desk.name)
        liquidation = view.risk(view.position(ETH, Leg.NET)).liquidation_price
        assert liquidation is not None
        assert D(2400) < liquidation < D(3000), "20 % away is beyond it"
        theirs = desk.stop(ETH, "long", "30", "2450")
        report = await desk.sync(0)
        [placed] = report.protection.placed
        assert placed.trigger_price is not None
        assert placed.trigger_price > liquidation
        [event] = await desk.events("STOP_PLACED")
        assert "beyond_liquidation" in event.data["why"]
        assert desk.order_is_open(theirs), "it is its user's, and stays"
        desk.world.set_price(ETH, str(placed.trigger_price - 1))
        [closed] = (await desk.sync(0)).closed_phantom
        assert closed.close is not None
        assert closed.close.exit_reason.value == "stop_loss", "the stop fired, not the liquidation"
