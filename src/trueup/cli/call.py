"""One call of a command: its options, its settings, its services, and the one place where errors become exit codes.

1. Exit codes: 2 for usage, configuration and identity; 1 for other failures; 130 when interrupted; else the body's own.
2. A person reads the text of an error, never a traceback (only `--verbose` shows one), and never a secret.
"""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trueup.cli.output import Output
from trueup.cli.signals import INTERRUPTED, run_to_end

if TYPE_CHECKING:
    from trueup.cli.services import OpenServices, Services
    from trueup.config import Settings

__all__ = ["FAILED", "USAGE", "Call", "Failure", "Options", "execute", "explain_failure"]

FAILED = 1
USAGE = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes."""

    config: Path | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False
    log_json: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is told: the exit code and the text."""

    code: int
    text: str
    identity: bool = False


class Call:
    """Given to a command's body. Settings are read, and services opened, only when the body asks."""

    def __init__(
        self, options: Options, open_services: OpenServices, clock_ms: Callable[[], int] | None = None
    ) -> None:
        self.options = options
        self._open_services = open_services
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._settings: Settings | None = None
        self.out = Output(self.redact)

    def now_ms(self) -> int:
        return self._clock_ms()

    async def sleep(self, seconds: float) -> None:
        """Between two looks at the store."""
        import asyncio

        await asyncio.sleep(seconds)

    @cached_property
    def settings(self) -> Settings:
        """Raises `ConfigurationError`."""
        from trueup.config import load_settings

        self._settings = load_settings(self.options.config)
        return self._settings

    def open(self) -> AbstractAsyncContextManager[Services]:
        """The program, opened with the settings. Raises `ConfigurationError`."""
        return self._open_services(self.settings)

    def open_without_settings(self) -> AbstractAsyncContextManager[Services]:
        """For what runs on simulated venues only."""
        return self._open_services(None)

    def redact(self, text: str) -> str:
        """Strikes out the secrets that were read so far."""
        return self._settings.redact(text) if self._settings is not None else text

    def configure_logs(self, *, daemon: bool) -> None:
        from trueup.cli.logs import LogLevel, configure_logs

        level = LogLevel.INFO if daemon else LogLevel.WARNING
        if self.options.quiet:
            level = LogLevel.ERROR
        if self.options.verbose:
            level = LogLevel.DEBUG
        configure_logs(level, as_json=self.options.log_json, redact=self.redact)


def execute(call: Call, body: Callable[..., Any], arguments: dict[str, Any], *, daemon: bool, logs: bool) -> int:
    """Runs a command's body to its exit code; the process edge, where every error ends.

    Args:
        daemon: Ends with 0 on SIGINT and SIGTERM.
        logs: Whether the body runs code that logs.
    """
    try:
        if logs:
            call.configure_logs(daemon=daemon)
        if inspect.iscoroutinefunction(body):
            return run_to_end(body(call, **arguments), daemon=daemon, redact=call.redact)
        return int(body(call, **arguments))
    except KeyboardInterrupt:
        return 0 if daemon else INTERRUPTED
    except typer.Abort:  # Ctrl-C or Ctrl-D at a question
        call.out.note("\nStopped; nothing was written.")
        return INTERRUPTED
    except Exception as error:
        failure = explain_failure(error)
        call.out.error(call.redact(failure.text))
        if call.options.verbose:
            call.out.note(call.redact("".join(traceback.format_exception(error))).rstrip())
        return failure.code


def explain_failure(error: Exception) -> Failure:
    """The exit code and the text for a person. Several errors that happened together are all told."""
    from trueup.model.errors import AccountMismatch, ConfigurationError, TrueupError

    if isinstance(error, typer.BadParameter):
        raise error  # the parser's own: told with the command's usage line
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, AccountMismatch | ConfigurationError):
            return Failure(USAGE, str(leaf), identity=isinstance(leaf, AccountMismatch))
    if all(isinstance(leaf, TrueupError) for leaf in leaves):
        return Failure(FAILED, "\n".join(dict.fromkeys(str(leaf) for leaf in leaves)))
    strange = next(leaf for leaf in leaves if not isinstance(leaf, TrueupError))
    return Failure(FAILED, f"unexpected {type(strange).__name__}: {strange} (--verbose shows where it happened)")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
