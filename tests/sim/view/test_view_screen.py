"""The view of the served world (sim/view): what it shows, that it fits, and what it tells on plain lines."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable

import aiohttp
import pytest
from rich.console import Console

from trueup.sim.actions import perform
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer
from trueup.sim.view import Happenings, screen, take, tell, watch
from trueup.sim.world.types import PositionMode

Served = tuple[VenueServer, Happenings]
SIZES = [(140, 40), (200, 60), (100, 32), (80, 24), (60, 12), (40, 6), (20, 3)]


def live(server: VenueServer) -> None:
    """A bit of everything that the view knows."""
    front = server.front
    perform(front, "price", {"symbol": "BTCUSDT", "last": "59000"})
    perform(front, "price", {"symbol": "ETHUSDT", "last": "3050"})
    perform(front, "price", {"symbol": "ETHUSDT", "last": "3040.5"})
    stop = {"symbol": "BTCUSDT", "side": "sell", "kind": "stop", "trigger_price": "55000", "quantity": "0.01"}
    perform(front, "order", {"account": "demo-binance", **stop, "reduce_only": True, "trigger_by": "mark"})
    perform(front, "attach", {"account": "demo-bybit", "symbol": "ETHUSDT", "stop_loss": "3300"})
    limit = {"symbol": "SOLUSDT", "side": "buy", "quantity": "3", "price": "140"}
    placed = perform(front, "order", {"account": "demo-binance", **limit})
    perform(front, "fill", {"account": "demo-binance", "order_id": placed["order_id"], "quantity": "1"})
    perform(front, "fund", {"symbol": "BTCUSDT"})
    perform(front, "transfer", {"account": "demo-bybit", "asset": "USDT", "amount": "-25"})
    front.add_fault(Fault(FaultKind.HTTP_ERROR, path="/fapi/v1/time", status=502, count=1))
    front.add_fault(Fault(FaultKind.STREAM_DELAY, account="demo-bybit"))


async def ask(server: VenueServer) -> None:
    async with aiohttp.ClientSession(server.rest_url) as client:
        for path in ("/fapi/v1/time", "/fapi/v1/time", "/v5/market/tickers?category=linear&symbol=BTCUSDT"):
            async with client.get(path) as answer:
                await answer.read()


def drawn(served: Served, width: int, height: int, **options: bool) -> list[str]:
    """The screen's lines, without colours."""
    server, happenings = served
    happenings.look()
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False, markup=False, no_color=True)
    console.print(screen(take(server, happenings, 75), width, height, **options))
    output = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()]


def line_with(lines: list[str], *words: str) -> str:
    found = [line for line in lines if all(word in line for word in words)]
    assert found, f"no line with {words} in\n" + "\n".join(lines)
    return found[0]


async def test_it_shows_the_world(served: Served) -> None:
    server, _ = served
    live(server)
    await ask(server)
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{server.ws_url}/v5/public/linear") as socket:
        await socket.send_str('{"op":"subscribe","args":["tickers.BTCUSDT"]}')
        await socket.receive(timeout=5)
        lines = drawn(served, 150, 46)
    for url in (server.rest_url, server.ws_url, server.control_url):
        assert url in lines[0]
    assert "up 1:15" in lines[1]
    assert "3 requests" in lines[1]
    assert "1 stream" in lines[1]
    assert "1 fault on" in lines[1]
    assert "BTCUSDT 59,000.0" in line_with(lines, "binance", "ETHUSDT")
    assert "ETHUSDT 3,040.50↓" in line_with(lines, "bybit  ", "ETHUSDT")
    account = line_with(lines, "demo-binance", "one-way").split()
    assert account[:5] == ["demo-binance", "binance", "one-way", "99,999.61", "USDT"]
    assert account[-2:] == ["demo-binance-key", "demo-binance-secret"]
    assert line_with(lines, "BTCUSDT", "demo-binance", "long").split()[3:7] == [
        "0.01",
        "60,000.0",
        "59,000.0",
        "-10.00",
    ]
    assert line_with(lines, "ETHUSDT", "demo-bybit", "short").split()[3:7] == ["0.5", "3,000.00", "3,040.50", "-20.25"]
    assert "55,000.0" in line_with(lines, "stop", "sell", "mark", "yes")
    assert "all" in line_with(lines, "stop (attached)", "3,300.00")
    assert "140.00" in line_with(lines, "limit", "2 of 3")
    assert "hit 1 of 1, over" in line_with(lines, "http_error /fapi/v1/time")
    line_with(lines, "stream_delay of demo-bybit", "hit 0")
    line_with(lines, "/v5/public/linear")
    line_with(lines, "GET /fapi/v1/time", "502 http_error")
    line_with(lines, "GET /v5/market/tickers BTCUSDT", "200")
    line_with(lines, "buys 1 SOLUSDT at 140.00, now long 1")


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_it_fits_every_terminal(served: Served, width: int, height: int) -> None:
    server, _ = served
    live(server)
    for number in range(40):
        server.world.add_account(f"crowd-{number}", "bybit", mode=PositionMode.HEDGE)
        server.world.open_position(f"crowd-{number}", "BTCUSDT", "long", "0.5")
    await ask(server)
    lines = drawn(served, width, height)
    assert max(map(len, lines)) <= width
    if height >= 12:
        assert len(lines) <= height
        assert any("more" in line for line in lines)
        assert "trueup venue" in lines[0]


async def test_a_thousand_accounts_are_counted(served: Served) -> None:
    server, _ = served
    for number in range(998):
        server.world.add_account(f"a{number}", "binance")
    lines = drawn(served, 140, 50)
    line_with(lines, "and 988 more")


async def test_an_idle_world_and_a_terminal_of_ascii(served: Served) -> None:
    server, _ = served
    server.world.close_position("demo-binance", "BTCUSDT")
    server.world.close_position("demo-bybit", "ETHUSDT")
    live_price = {"symbol": "BTCUSDT", "last": "60001"}
    perform(server.front, "price", {"symbol": "BTCUSDT", "last": "60000.5"})
    perform(server.front, "price", live_price)
    lines = drawn(served, 120, 30, ascii_only=True)
    for words in ("none open", "none waits", "none yet", "BTCUSDT 60,001.0+"):
        line_with(lines, words)


async def test_colours_only_underline(served: Served) -> None:
    server, happenings = served
    live(server)
    shot = take(server, happenings, 1)

    def output(**options: object) -> str:
        console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True, **options)  # type: ignore[arg-type]
        console.print(screen(shot, 120, 40))
        return str(console.file.getvalue())  # type: ignore[attr-defined]

    coloured, plain = output(color_system="truecolor"), output(no_color=True)
    assert re.search(r"\x1b\[(\d+;)*3\d", coloured)
    assert not re.search(r"\x1b\[(\d+;)*3[0-7]m", plain)
    stripped = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in (coloured, plain)]
    assert stripped[0] == stripped[1]


async def spoken(served: Served, act: Callable[[], None]) -> list[str]:
    """What `tell` says of an act, without the times."""
    server, happenings = served
    said: list[str] = []
    task = asyncio.create_task(tell(server, happenings, said.append))
    await asyncio.sleep(0)
    act()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return [line.split("  ", 1)[1] for line in said]


async def test_plain_lines_tell_what_happens(served: Served) -> None:
    server, _ = served
    lines = await spoken(served, lambda: live(server))
    for expected in (
        "demo-binance  stop sell 0.01 BTCUSDT at mark 55,000.0 waits",
        "demo-bybit  stop buy all ETHUSDT at last 3,300.00 waits",
        "demo-binance  order 8886774003 rests: limit buy 3 SOLUSDT at 140.00",
        "demo-binance  buys 1 SOLUSDT at 140.00, now long 1",
        "demo-binance  funding BTCUSDT -0.059 USDT",
        "demo-bybit  transfer -25 USDT",
        "fault  1: http_error /fapi/v1/time",
    ):
        assert expected in lines


async def test_plain_lines_tell_ends_and_the_venues_own_acts(served: Served) -> None:
    server, _ = served

    def act() -> None:
        live(server)
        perform(server.front, "price", {"symbol": "BTCUSDT", "last": "54000"})
        perform(server.front, "liquidate", {"account": "demo-bybit", "symbol": "ETHUSDT"})
        perform(server.front, "cancel", {"account": "demo-binance"})
        perform(server.front, "leverage", {"account": "demo-binance", "symbol": "BTCUSDT", "leverage": "5"})
        perform(server.front, "expire_listen_keys", {})
        perform(server.front, "cut_streams", {"account": "demo-bybit"})
        server.front.clear_faults()

    lines = await spoken(served, act)
    for expected in (
        "demo-binance  stop sell 0.01 BTCUSDT at mark 55,000.0 triggered",
        "demo-binance  sells 0.01 BTCUSDT at 54,000.0, now flat, -60 USDT",
        "demo-binance  order 8886774003 canceled: limit buy 3 SOLUSDT at 140.00 (user)",
        "demo-binance  BTCUSDT: leverage 5, cross margin",
        "all accounts  listen keys expire",
        "demo-bybit  streams are cut",
    ):
        assert expected in lines, lines
    assert any(line.startswith("demo-bybit  liquidation: buys 0.5 ETHUSDT at ") for line in lines)
    assert not any(line.startswith("fault") for line in lines)


async def test_plain_lines_say_when_too_much_happened(served: Served) -> None:
    server, _ = served

    def act() -> None:
        for _ in range(400):
            server.world.transfer("demo-binance", "USDT", "1")

    server_, happenings = served
    said: list[str] = []
    task = asyncio.create_task(tell(server_, happenings, said.append))
    await asyncio.sleep(0)
    act()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said[0] == "(100 lines left out: too much happened at once)"
    assert len(said) == 301


async def test_streams_are_told_when_they_open_and_end(served: Served) -> None:
    server, happenings = served
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{server.ws_url}/v5/public/linear"):
        happenings.look()
    for _ in range(500):
        if not server.front.gates:
            break
        await asyncio.sleep(0.01)
    happenings.look()
    assert [line.text for line in happenings.since(0)] == [
        "/v5/public/linear opened",
        "/v5/public/linear ended, 0 sent",
    ]


async def test_a_terminal_gets_its_own_screen_back(served: Served) -> None:
    server, happenings = served
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, legacy_windows=False)
    task = asyncio.create_task(watch(server, happenings, console))
    for _ in range(500):
        if "demo-binance" in console.file.getvalue():  # type: ignore[attr-defined]
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[?1049h" in output
    assert output.rstrip("\n").rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))
