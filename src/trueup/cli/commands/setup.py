"""Getting started: write a configuration, see the whole thing work."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from trueup.cli.call import Call
from trueup.cli.registry import command
from trueup.cli.template import DEFAULT_VARIABLES, Answers, config_text
from trueup.cli.text import Style

__all__ = ["demo", "init"]


@command(
    "init",
    short="Write a commented trueup.toml.",
    example=("trueup init", "trueup init --yes --config /etc/trueup/trueup.toml"),
    exits=("0  written", "2  the file exists (use --force), or there is no terminal to ask on (use --yes)"),
    logs=False,
)
def init(
    call: Call,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, take the defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """
    Writes a commented trueup.toml, readable by you alone. On a terminal it asks for venue, account and where the API
    key is found (an environment variable or a file: the key itself never stands in the configuration). The account
    starts in observe mode: trueup looks, reports, and changes nothing.
    """
    from trueup.config import config_path, parse_settings
    from trueup.model.errors import ConfigurationError

    path = config_path(call.options.config)
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; name the file to write, e.g. --config {path / 'trueup.toml'}")
    if path.exists() and not force:
        raise ConfigurationError(f"{path} exists and was left as it is; --force overwrites it")
    if not yes and not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask on: add --yes to take the defaults, then edit the file")
    answers = Answers() if yes else _ask(call)
    text = config_text(answers)
    parse_settings(text, path, os.environ)
    _write(path, text)
    call.out.text(f"Wrote {path}, readable by you alone. The account {answers.name!r} starts in observe mode.")
    steps = [f"export {name}=..." for name in _variables(answers)]
    steps += ["trueup doctor   checks the configuration, the key and the store", "trueup sync     looks once"]
    call.out.text("Next:\n" + "\n".join(f"  {step}" for step in steps))
    return 0


def _variables(answers: Answers) -> list[str]:
    references = (answers.api_key, answers.api_secret, answers.store_url)
    return [reference[4:] for reference in references if reference.startswith("env:")]


def _ask(call: Call) -> Answers:
    call.out.note("Enter takes the value in [brackets]. Nothing is written before the last question.")
    venue = _ask_for("Venue (binanceusdm, bybit)", "binanceusdm", _venue_problem, call)
    key_variable, secret_variable = DEFAULT_VARIABLES[venue]
    name = _ask_for("Name of the account", "main", _name_problem, call)
    call.out.note("Where is the API key? A read-only key is enough to observe. Never paste the key itself here.")
    api_key = _ask_for("API key (env:NAME or file:PATH)", f"env:{key_variable}", _reference_problem, call)
    api_secret = _ask_for("API secret (env:NAME or file:PATH)", f"env:{secret_variable}", _reference_problem, call)
    store_url = _ask_for(
        "Store (sqlite:///FILE, postgresql://user@host/database, env:NAME)", "sqlite:///trueup.db", _store_problem, call
    )
    return Answers(name=name, venue=venue, api_key=api_key, api_secret=api_secret, store_url=store_url)


def _ask_for(question: str, default: str, problem: object, call: Call) -> str:
    check = problem if callable(problem) else lambda _text: None
    while True:
        answer = str(typer.prompt(question, default=default, err=True)).strip()
        wrong = check(answer)
        if wrong is None:
            return answer
        call.out.note(str(wrong), Style.WARN)


def _venue_problem(text: str) -> str | None:
    return None if text in DEFAULT_VARIABLES else f"Supported are {' and '.join(DEFAULT_VARIABLES)}."


def _name_problem(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", text):
        return None
    return "Use 1 to 63 letters, digits, dots, dashes or underscores."


def _reference_problem(text: str) -> str | None:
    if re.fullmatch(r"env:[A-Z_][A-Z0-9_]*|file:\S.*", text):
        return None
    return "Name the place, not the key: env:NAME in capitals (an environment variable) or file:PATH."


def _store_problem(text: str) -> str | None:
    from trueup.config.fields import store_url_problem

    if text.startswith("env:") and re.fullmatch(r"env:[A-Za-z_]\w*", text):
        return None
    if re.search(r"://[^/]*:[^/]*@", text):
        return "Leave the password out of the file: use env:NAME, or the database's own password file."
    return store_url_problem(text)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, mode 0600 from its first byte."""
    from trueup.model.errors import ConfigurationError

    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} cannot be written: folder {path.parent} does not exist; create it first"
        ) from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{path} cannot be written: {why}; make {path.parent} writable for this user, or name another place with --config"
        ) from None


@command(
    "demo",
    short="See a position's whole life on simulated venues.",
    example=("trueup demo",),
    exits=("0  the life of the position was told to its end", "1  it failed"),
    settings=False,
)
async def demo(
    call: Call,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the configuration and the store for you to look at.")] = (
        False
    ),
) -> int:
    """
    Tells the whole life of a position on two simulated venues: opened, adopted into the book, closed behind the bot's
    back, noticed, closed in the book with the true PnL, its stop cancelled, explained. It needs no key, no account and
    no network, and changes nothing of yours.
    """
    async with call.open_without_settings() as services:
        await services.demo(keep, call.out.text)
    return 0
