"""`trueup venue serve` as a process: what it says, what directs it, how it looks on a terminal, how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "trueup", "venue"]


class Served:
    """A served venue whose stdout is a pipe."""

    def __init__(self, *options: str) -> None:
        command = [*COMMAND, "serve", "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.rest = self.line("REST").split()[1]
        self.control = self.line("control").split()[1]
        self.line("look")

    def line(self, words: str) -> str:
        """The next line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return line.rstrip("\n")
        _, error = self.process.communicate(timeout=30)
        raise AssertionError(f"it ended before it said {words!r}: {error}")

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another `trueup venue` command."""
        command = [*COMMAND, *words, "--control", self.control]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=30)
        return self.process.returncode, error


@pytest.fixture
def served() -> Iterator[Served]:
    running = Served()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_it_is_directed_from_another_terminal_and_tells_what_happens(served: Served) -> None:
    done = served.say("do", "open", "account=demo-binance", "symbol=SOLUSDT", "side=short", "quantity=2")
    assert done.returncode == 0, done.stderr
    assert "SOLUSDT" in done.stdout
    served.line("demo-binance  sells 2 SOLUSDT at 150.00, now short 2")
    refused = served.say("do", "close", "account=demo-binance", "symbol=ETHUSDT")
    assert (refused.returncode, "NoPosition" in refused.stderr) == (1, True)
    wrong = served.say("do", "close", "account=demo-binance")
    assert (wrong.returncode, "needs 'symbol'" in wrong.stderr) == (2, True)
    added = served.say("fault", "http_error", "--path", "/v5/market/time", "--status", "502", "--count", "1")
    assert added.stdout.startswith("fault 1 is on")
    served.line("fault  1: http_error /v5/market/time")
    with pytest.raises(urllib.error.HTTPError, match="502"):
        urllib.request.urlopen(f"{served.rest}/v5/market/time", timeout=10)
    listed = json.loads(served.say("faults", "--json").stdout)
    assert [(each["fault_id"], each["hits"]) for each in listed] == [(1, 1)]
    assert served.say("clear", "1").returncode == 0
    assert json.loads(served.say("faults", "--json").stdout) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean(served: Served, number: int) -> None:
    code, error = served.stop(number)
    assert (code, error) == (0, "")


def test_a_taken_port_is_said(served: Served) -> None:
    port = served.rest.rpartition(":")[2]
    second = subprocess.run(
        [*COMMAND, "serve", "--port", port], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_control_port_is_the_next_one() -> None:
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        other.bind(("127.0.0.1", port + 1))
    running = Served("--port", str(port))
    assert (running.rest, running.control) == (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}")
    assert running.stop()[0] == 0


@pytest.mark.parametrize(
    ("text", "named"), [("[[steps]]\nat_s = 1\ndo = 'opn'\n", "opn"), ("seed = = 1", "TOML"), (None, "cannot be read")]
)
def test_a_wrong_scenario_is_2(tmp_path: Path, text: str | None, named: str) -> None:
    file = tmp_path / "scenario.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    command = [*COMMAND, "serve", "--port", "0", "--scenario", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scenario_is_told_as_it_plays(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text('[[steps]]\nat_s = 0\ndo = "price"\nsymbol = "BTCUSDT"\nlast = "61000"\n', encoding="utf-8")
    running = Served("--scenario", str(file), "--positions", "0")
    running.line("scenario  price symbol=BTCUSDT last=61000")
    assert running.stop()[0] == 0


def on_terminal(environ: dict[str, str], *options: str) -> tuple[int, str]:
    """What a terminal of 120 by 36 is sent until ctrl-c, and the exit code."""
    master, slave = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env=kept | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"} | environ,
    )
    os.close(slave)
    shown, interrupted = b"", False
    while True:
        try:
            piece = os.read(master, 65_536)
        except OSError:
            break
        shown += piece
        if not interrupted and (b"HAPPENED" in shown or (options and b"stop with ctrl-c" in shown)):
            interrupted = True
            process.send_signal(signal.SIGINT)
    os.close(master)
    return process.wait(timeout=30), shown.decode()


def test_a_terminal_gets_a_screen_and_has_its_own_back_after_ctrl_c() -> None:
    code, shown = on_terminal({})
    assert code == 0
    assert shown.count("\x1b[?1049h") == shown.count("\x1b[?1049l") == 1
    assert "demo-bybit" in shown
    assert re.search(r"\x1b\[(\d+;)*3\d", shown)
    assert "Traceback" not in shown


def test_no_color_is_respected() -> None:
    code, shown = on_terminal({"NO_COLOR": "1"})
    assert code == 0
    assert "\x1b[?1049h" in shown
    assert not re.search(r"\x1b\[(\d+;)*3[0-7]m", shown)


@pytest.mark.parametrize(("environ", "options"), [({"TERM": "dumb"}, ("--seed", "3")), ({}, ("--no-view",))])
def test_plain_lines_where_a_screen_is_not_wanted(environ: dict[str, str], options: tuple[str, ...]) -> None:
    code, shown = on_terminal(environ, *options)
    assert code == 0
    assert "\x1b[?1049h" not in shown
    assert "account  demo-binance" in shown
