"""`init` writes a file that is valid, private, and says exactly the defaults; it never overwrites by itself."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_fakes import Run

from trueup.cli.template import Answers, config_text
from trueup.config import load_settings, parse_settings
from trueup.model.positions import AccountMode

CALL = "import sys; from trueup.cli import build_app; build_app(lambda settings: None)(sys.argv[1:])"


def test_yes_writes_a_valid_private_file_in_observe_mode(run: Run, config: Path) -> None:
    config.unlink()

    result = run("init", "--yes")

    assert result.exit_code == 0
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    settings = load_settings(config, {})
    assert settings.account("main").mode is AccountMode.OBSERVE
    assert "export BINANCE_KEY=..." in result.stdout
    assert "trueup doctor" in result.stdout
    assert [path.name for path in config.parent.iterdir()] == ["trueup.toml"]


def test_an_existing_file_stays_without_force(run: Run, config: Path) -> None:
    before = config.read_bytes()

    result = run("init", "--yes")

    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert config.read_bytes() == before

    config.chmod(0o644)
    assert run("init", "--yes", "--force").exit_code == 0
    assert config.read_bytes() != before
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_it_writes_where_config_or_the_variable_says(run: Run, tmp_path: Path) -> None:
    run("init", "--yes", "--config", str(tmp_path / "a.toml"))
    run("init", "--yes", env={"TRUEUP_CONFIG": str(tmp_path / "b.toml")})

    assert (tmp_path / "a.toml").read_text() == (tmp_path / "b.toml").read_text()


def test_without_a_terminal_it_asks_for_yes(run: Run, config: Path) -> None:
    config.unlink()

    result = run("init")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert not config.exists()


def test_a_folder_that_does_not_exist_is_told(run: Run, tmp_path: Path) -> None:
    result = run("init", "--yes", "--config", str(tmp_path / "nowhere" / "t.toml"))

    assert result.exit_code == 2
    assert f"cannot be written: folder {tmp_path / 'nowhere'} does not exist; create it first" in result.stderr


@pytest.mark.parametrize("more", [[], ["--force"]], ids=["", "force"])
def test_a_folder_is_no_file(run: Run, tmp_path: Path, more: list[str]) -> None:
    result = run("init", "--yes", "--config", str(tmp_path), *more)

    assert result.exit_code == 2
    assert f"{tmp_path} is a folder; name the file" in result.stderr


def test_the_commented_lines_are_the_defaults() -> None:
    text = config_text(Answers())
    uncommented = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert uncommented.count("\n") == text.count("\n")
    assert uncommented != text

    silent, spoken = (parse_settings(each, Path("t.toml"), {}) for each in (text, uncommented))

    assert spoken.model_dump() == silent.model_dump()


@pytest.mark.parametrize("key", ["proxy", "rest_url", "ws_url"])
def test_the_optional_lines_are_valid_too(key: str) -> None:
    text = re.sub(rf"^#(?={key} = )", "", config_text(Answers()), flags=re.MULTILINE)

    assert getattr(parse_settings(text, Path("t.toml"), {}).account("main"), key) is not None


def sit_down(terminal: int) -> None:
    """As a shell starts a command in the foreground; tests that run in the background would hand down that they ignore ^C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.login_tty(terminal)


def converse(folder: Path, answers: list[str]) -> tuple[int, str]:
    """Runs `trueup init` on a terminal of its own and types an answer at each prompt."""
    master, slave = pty.openpty()
    environ = {key: value for key, value in os.environ.items() if key != "TRUEUP_CONFIG"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, "init"],
        cwd=folder,
        env=environ,
        preexec_fn=lambda: sit_down(slave),  # noqa: PLW1509 - no thread runs here
    )
    os.close(slave)
    shown, waiting = b"", iter(answers)
    answered = 0
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        asked = shown.rstrip(b" ")
        if asked.endswith(b"]:") and len(asked) > answered:  # a prompt may come in pieces: each is answered once
            answered = len(asked)
            os.write(master, next(waiting).encode())
    os.close(master)
    return process.wait(timeout=30), shown.decode()


def test_a_conversation(tmp_path: Path) -> None:
    code, shown = converse(
        tmp_path,
        [
            "okx\n",
            "bybit\n",
            "\n",
            "AbCdEf0123456789\n",
            "env:MY_KEY\n",
            "file:/run/secret\n",
            "postgresql://a:b@c/d\n",
            "\n",
        ],
    )

    assert code == 0, shown
    settings = load_settings(tmp_path / "trueup.toml", {"MY_KEY": "k"})
    main = settings.account("main")
    assert (main.venue, main.api_key.label, main.api_secret.label) == ("bybit", "env:MY_KEY", "file:/run/secret")
    assert settings.store_label == "sqlite:///trueup.db"
    assert "Supported are binanceusdm and bybit." in shown
    assert "Name the place, not the key" in shown
    assert "Leave the password out of the file" in shown


def test_an_interrupted_conversation_writes_nothing(tmp_path: Path) -> None:
    code, shown = converse(tmp_path, ["bybit\n", "\x03"])

    assert code == 130, shown
    assert list(tmp_path.iterdir()) == []
