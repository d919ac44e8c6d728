"""What only a whole process can show: signals, a reader that goes away, a terminal, NO_COLOR."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).with_name("cli_process.py"))


def start(config: Path, place: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROGRAM, place, *words],
        cwd=config.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for row in process.stderr:
        if words in row:
            return
    pytest.fail(f"ended without {words!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["loading", "settings", "opening", "running", "stopping"])
def test_run_ends_with_0_whenever_it_is_stopped(config: Path, place: str, number: int) -> None:
    process = start(config, place, "run")
    wait_for(process, "at running" if place == "stopping" else f"at {place}")

    process.send_signal(number)
    if place == "stopping":
        wait_for(process, "at stopping")
        process.send_signal(number)
    _, rest = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "Traceback" not in rest
    assert ("cleaned up" in rest) == (place in ("running", "stopping"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("words", [["sync"], ["demo"]], ids=" ".join)
def test_other_commands_clean_up_and_say_that_they_were_stopped(
    config: Path, words: list[str], number: int, code: int
) -> None:
    process = start(config, "running", *words)
    wait_for(process, "at running")

    process.send_signal(number)
    _, rest = process.communicate(timeout=30)

    assert process.returncode == code
    assert "cleaned up" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("words", [["events"], ["events", "--json"], ["events", "--follow"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(config: Path, words: list[str]) -> None:
    with start(config, "nowhere", *words, "--limit", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0


def test_following_ends_with_its_reader_though_nothing_is_written(config: Path) -> None:
    with start(config, "nowhere", "events", "--follow", "--limit", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()

        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("words", "streams", "code"),
    [
        (["status"], ">&-", 0),
        (["status"], "<&- >&- 2>&-", 0),
        (["status", "--config", "nowhere.toml"], "2>&-", 2),
        (["init"], "<&-", 2),
        (["status"], ">/dev/full", 1),
        (["--version"], ">/dev/full", 1),
        (["status", "--config", "nowhere.toml"], "2>/dev/full", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_stream_that_is_closed_or_full_is_no_traceback(
    config: Path, words: list[str], streams: str, code: int
) -> None:
    line = f'exec "$0" -m trueup "$@" {streams}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, *words],
        check=False,
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    if "/dev/full" in streams and code == 1:
        assert "No space left on device" in done.stderr
    elif code == 0:
        assert done.stderr == ""


def test_what_an_encoding_lacks_is_written_plainly(config: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "nowhere", "positions"],
        check=False,
        cwd=config.parent,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.startswith("main | binanceusdm | 1 open position\n")
    assert "?" not in done.stdout


def on_terminal(config: Path, *words: str, **environ: str) -> str:
    master, slave = pty.openpty()
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "nowhere", *words],
        cwd=config.parent,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=kept | {"TERM": "xterm-256color"} | environ,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(timeout=30) == 0
    return shown.decode()


def test_colours_are_for_terminals_that_want_them(config: Path) -> None:
    coloured = on_terminal(config, "events", "--limit", "1")
    plain = on_terminal(config, "events", "--limit", "1", NO_COLOR="1")

    assert "\x1b[33m" in coloured
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", plain)
    piped = start(config, "nowhere", "events", "--limit", "1")
    assert "\x1b" not in piped.communicate(timeout=30)[0]


def test_a_terminal_gets_lines_that_fit(config: Path) -> None:
    shown = on_terminal(config, "positions", COLUMNS="60", NO_COLOR="1")

    rows = [re.sub(r"\x1b\[[0-9;]*m", "", row).rstrip() for row in shown.splitlines()]
    assert any("BTC/USDT:USDT" in row for row in rows)
    assert max(map(len, rows)) <= 60
