"""The README is what happens: the demo prints it, its commands run in the order in which it gives them, its code runs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from docs_pages import ROOT, blocks, codes, commands, section

from tests.support.bench import Bench, open_bench
from trueup.cli.app import COMMANDS


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `python -m trueup demo` prints, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "trueup", "demo"],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_demo_prints_what_the_readme_shows(demo: str) -> None:
    [shown] = [block for block in blocks("README.md", "text") if "trueup sync" in block]
    position = 0
    for line in filter(None, shown.splitlines()):
        pattern = re.compile(".*".join(re.escape(part.rstrip()) for part in line.split("…")), re.MULTILINE)
        found = pattern.search(demo, position)
        assert found is not None, f"the demo does not print, in this order: {line!r}\n{demo}"
        position = found.end()


def test_the_demo_tells_the_whole_life(demo: str) -> None:
    chapters = re.findall(r"^(\d)  .+$", demo, re.MULTILINE)
    assert chapters == ["1", "2", "3", "4", "5", "6", "7"]
    assert [demo.count(account) > 4 for account in ("binance-demo", "bybit-demo")] == [True, True]
    assert "trueup explain 1" in demo
    assert "trueup explain 2" in demo


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Bench]:
    """A served Binance account with one open position, and the README's variables set to its keys."""
    async with open_bench(tmp_path) as bench:
        bench.account("main", "binanceusdm")
        bench.world.open_position("main", "BTCUSDT", "long", "0.010")
        bench.environ = {"BINANCE_KEY": bench.environ["MAIN_KEY"], "BINANCE_SECRET": bench.environ["MAIN_SECRET"]}
        yield bench


async def _start(house: Bench, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=house.folder,
        env={**os.environ, **house.environ, "NO_COLOR": "1"},
    )


async def _run(house: Bench, *words: str) -> tuple[int | None, str]:
    process = await _start(house, *words)
    out, _ = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, out.decode()


async def _until_it_runs(house: Bench, *words: str) -> tuple[int | None, str]:
    """A command that goes on until it is stopped: waits for its first line, then stops it."""
    process = await _start(house, *words)
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), 60)
    process.send_signal(signal.SIGINT)
    rest, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, (first + rest).decode()


def _point_at(house: Bench) -> None:
    """What a person edits by hand: where the simulated venue answers; and no port that others may have taken."""
    path = house.folder / "trueup.toml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('#rest_url = "https://host" ', f'rest_url = "{house.server.rest_url}" #')
    text = text.replace('#ws_url = "wss://host" ', f'ws_url = "{house.server.ws_url}" #')
    text = text.replace('# listen = "127.0.0.1:9464" ', 'listen = "" #')
    path.write_text(text, encoding="utf-8")
    assert text.count(house.server.rest_url) == text.count('listen = ""') == 1


def _set_mode(house: Bench, mode: str) -> None:
    path = house.folder / "trueup.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'^mode = "\w+"', f'mode = "{mode}"', text, flags=re.MULTILINE), encoding="utf-8")


EXPECTED = {
    "trueup init": 0,
    "trueup doctor": 0,
    "trueup sync --dry-run": 3,
    "trueup sync": 0,
    "trueup run": 0,
    "trueup status": 0,
    "trueup positions --status all": 0,
    "trueup explain 1": 0,
    "trueup holds": 0,
}


async def test_the_commands_of_the_readme_in_their_order(house: Bench) -> None:
    lines = [line for line in commands("README.md") if line.startswith("trueup ")]
    assert lines == list(EXPECTED)
    for line in lines:
        words = ["-m", *line.split()]
        if line == "trueup init":
            words.append("--yes")
        if line == "trueup sync":
            _set_mode(house, "sync")
        code, out = await (_until_it_runs(house, *words) if line == "trueup run" else _run(house, *words))
        assert code == EXPECTED[line], f"$ {line}\n{out}"
        if line == "trueup init":
            exported = [found.split("=")[0].removeprefix("export ") for found in re.findall("export .*", out)]
            assert [f"export {name}=..." for name in exported] == [
                line for line in commands("README.md") if line.startswith("export ")
            ]
            _point_at(house)


async def test_the_code_of_the_readme_runs(house: Bench) -> None:
    await _run(house, "-m", "trueup", "init", "--yes")
    _point_at(house)
    _set_mode(house, "sync")
    [program] = blocks("README.md", "python")
    code, out = await _run(house, "-c", program)
    assert code == 0, out
    assert "main observed" in out
    assert "main BTC/USDT:USDT long 0.010 60000.0" in out


async def test_the_code_of_the_librarys_page_runs(house: Bench) -> None:
    await _run(house, "-m", "trueup", "init", "--yes")
    _point_at(house)
    _set_mode(house, "sync")
    names, opening, rows = blocks("docs/library.md", "python")
    for program, wanted in ((names, ""), (opening, "1 open, exposure 600"), (rows, "1 BTC/USDT:USDT long 0.010")):
        code, out = await _run(house, "-c", program)
        assert code == 0, out
        assert wanted in out


def test_what_is_told_as_missing_is_missing() -> None:
    missing = codes(section("README.md", "Not there yet"))
    words = {tuple(code.split()[1:]) for code in missing if code.startswith("trueup ")}
    assert not words & {command.path for command in COMMANDS}, "a command that exists now is told as missing"
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    goals = {code.removeprefix("make ") for code in missing if code.startswith("make ")}
    assert not goals & targets, "a target that exists now is told as missing"
