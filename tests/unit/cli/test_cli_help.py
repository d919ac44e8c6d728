"""Help teaches: what a command does, how it is called, how it ends. It is quick, and the docs say the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cli_fakes import FakeServices, Run

from trueup.cli.app import COMMANDS
from trueup.cli.registry import Command

DOCS = Path(__file__).parents[3] / "docs" / "commands.md"
HEAVY = ("rich", "pydantic", "msgspec", "structlog", "asyncio", "ccxt", "sqlalchemy", "aiohttp")
CONTRACT = {
    "init", "demo", "sync", "run", "status", "positions", "events", "explain", "replay", "close", "close-all",
    "holds", "approve", "reject", "pause",
    "resume", "doctor", "accounts pin", "db upgrade", "db backup", "venue serve",
    "venue fault", "venue faults", "venue clear", "venue do",
}  # fmt: skip


def test_the_commands_are_the_contracts() -> None:
    assert {" ".join(each.path) for each in COMMANDS} == CONTRACT


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: " ".join(each.path))
def test_every_command_teaches(run: Run, services: FakeServices, each: Command) -> None:
    result = run(*each.path, "--help")

    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    paragraph = " ".join((each.body.__doc__ or "").split())
    assert paragraph in shown
    assert len(paragraph) > 60
    assert f"Usage: trueup {' '.join(each.path)}" in shown
    for example in each.example:
        assert example in result.stdout
        assert example.startswith("trueup ")
    assert "Exit codes:" in shown
    assert each.exits[0][0] in "01"
    assert ("--config" in shown) == each.settings
    assert ("--json" in shown) == each.json
    assert ("--verbose" in shown) == each.logs
    assert max(len(row) for row in result.stdout.splitlines()) <= 80
    assert not services.opened_with


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: " ".join(each.path))
def test_every_command_with_its_codes_is_in_the_docs(each: Command) -> None:
    docs = DOCS.read_text(encoding="utf-8")

    _, found, section = docs.partition(f"## `trueup {' '.join(each.path)}`\n")
    assert found
    section = section.split("\n## ")[0]
    for row in each.exits:
        assert f"`{row.split(' ')[0]}`" in section, row
    for example in each.example:
        assert example in section


def test_the_list_of_commands_is_one_line_each(run: Run) -> None:
    shown = run("--help").stdout

    for each in COMMANDS:
        if len(each.path) == 1:
            assert f"  {each.path[0]:<9}  {each.short}\n" in shown
    assert "Exit codes:" in shown
    assert "trueup demo" in shown


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"trueup {version('trueup')}\n"


def test_no_word_is_a_question_for_help(run: Run) -> None:
    result = run()

    assert result.exit_code == 2
    assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("words", "needed"),
    [(["--help"], []), (["sync", "--help"], ["pydantic"])],  # typer itself reads parameters with pydantic
)
def test_help_loads_nothing_heavy(words: list[str], needed: list[str]) -> None:
    code = (
        "import sys\nfrom trueup.cli import build_app\n"
        f"try:\n    build_app(lambda settings: None)({words!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert set(ast.literal_eval(done.stderr)) <= set(needed)
