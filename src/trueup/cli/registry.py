"""How a function becomes a command: its help, the options that all commands share, its exit codes.

A body is `def body(call: Call, …) -> int` (or `async def`); its docstring is the paragraph that the help shows, its
annotated parameters are the command's own. The shared options are added here, so no command can forget one.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup.cli.call import Call, Options, execute

if TYPE_CHECKING:
    from trueup.cli.services import OpenServices

__all__ = ["Command", "command"]

_CONFIG = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file.  [env TRUEUP_CONFIG; default ./trueup.toml]", metavar="PATH"),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_VERBOSE = Annotated[bool, typer.Option("--verbose", "-v", help="Log everything to stderr; tracebacks too.")]
_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Log errors only.")]
_LOG_JSON = Annotated[bool, typer.Option("--log-json", help="Log as one JSON object a line.")]


@dataclass(frozen=True, slots=True)
class Command:
    """A command before it knows its services.

    Attributes:
        path: Its words, e.g. ``("db", "upgrade")``.
        short: What the list of commands says of it, within one line.
        settings: Whether it reads the configuration (takes `--config`).
        logs: Whether it runs code that logs.
    """

    path: tuple[str, ...]
    short: str
    body: Callable[..., Any]
    example: tuple[str, ...]
    exits: tuple[str, ...]
    json: bool
    settings: bool
    logs: bool
    daemon: bool

    def add_to(
        self, group: typer.Typer, open_services: OpenServices, clock_ms: Callable[[], int] | None = None
    ) -> None:
        """Registers it under its last word."""
        paragraph = inspect.cleandoc(self.body.__doc__ or "")
        group.command(self.path[-1], help=paragraph, epilog=self._epilog(), short_help=self.short)(
            self._entry(open_services, clock_ms)
        )

    def _epilog(self) -> str:
        exits = [row for text in self.exits for row in textwrap.wrap(text, 72, subsequent_indent="     ")]
        blocks = [("Example:", self.example), ("Exit codes:", exits)]
        return "\n\n".join("\b\n" + "\n".join([head, *(f"  {row}" for row in rows)]) for head, rows in blocks if rows)

    def _entry(self, open_services: OpenServices, clock_ms: Callable[[], int] | None) -> Callable[..., None]:
        """A function with the body's own parameters and the shared ones, as typer reads them."""

        def entry(**values: Any) -> None:
            shared = {name: values.pop(name) for name in self._shared() if name in values}
            options = Options(**{("json" if name == "as_json" else name): value for name, value in shared.items()})
            call = Call(options, open_services, clock_ms)
            raise typer.Exit(execute(call, self.body, values, daemon=self.daemon, logs=self.logs))

        own = list(inspect.signature(self.body, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in self._shared().items()
        ]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
        entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        entry.__name__ = "_".join(self.path)
        return entry

    def _shared(self) -> dict[str, tuple[Any, Any]]:
        shared: dict[str, tuple[Any, Any]] = {}
        if self.json:
            shared["as_json"] = (_JSON, False)
        if self.settings:
            shared["config"] = (_CONFIG, None)
        if self.logs:
            shared |= {"verbose": (_VERBOSE, False), "quiet": (_QUIET, False), "log_json": (_LOG_JSON, False)}
        return shared


def command(
    *path: str,
    short: str,
    example: tuple[str, ...] = (),
    exits: tuple[str, ...] = (),
    json: bool = False,
    settings: bool = True,
    logs: bool = True,
    daemon: bool = False,
) -> Callable[[Callable[..., Any]], Command]:
    """Makes a `Command` of a body.

    Args:
        short: One line for the list of commands, beginning with a verb.
        example: Lines to copy into a shell.
        exits: One line an exit code, e.g. ``"0  done"``.
    """

    def decorate(body: Callable[..., Any]) -> Command:
        return Command(path, short, body, example, exits, json, settings, logs, daemon)

    return decorate
