"""Wires the program together: the command line's entry, and the library's.

Only this package knows every room.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueup.cli.services import Services
    from trueup.config import Settings
    from trueup.engine.manager import PositionManager

__all__ = ["main", "open_manager"]


def main() -> None:
    """The `trueup` command.

    The process is this program's own: its garbage collector is set for it, and of what it uses only what is used is loaded.
    """
    import sys

    from trueup.bootstrap import garbage
    from trueup.cli.signals import exit_quietly_while_starting
    from trueup.cli.streams import open_missing, silence

    open_missing()
    garbage.starting()
    exit_quietly_while_starting(sys.argv[1:])
    _load_structlog_sparingly()
    from trueup.cli import build_app
    from trueup.venues.sparing import load_ccxt_sparingly

    load_ccxt_sparingly()

    try:
        build_app(_open_services)()
    except OSError as error:  # of the parser itself, which writes help and version; commands tell their own
        print(f"error: cannot be written to stdout: {error.strerror or error}", file=sys.stderr)
        silence(sys.stdout)
        sys.exit(1)


def _load_structlog_sparingly() -> None:
    """Without rich, which it would load for a renderer that is not used here: a tenth of a second of every command."""
    import sys

    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def _open_services(settings: Settings | None) -> AbstractAsyncContextManager[Services]:
    from trueup.bootstrap.services import open_services

    return open_services(settings)


@asynccontextmanager
async def open_manager(config: Path | str | None = None) -> AsyncIterator[PositionManager]:
    """The library's entry: a loaded `PositionManager` over the accounts of a configuration file.

    Args:
        config: Path of a ``trueup.toml``; None: as the command finds it.

    Raises:
        ConfigurationError: The file, or a secret that it names, cannot be used.
        StoreUnavailable: The store does not open.
    """
    from trueup.bootstrap.wiring import open_program
    from trueup.config import load_settings

    settings = load_settings(Path(config) if config is not None else None)
    async with open_program(settings) as program:
        await program.manager.load_positions_from_db()
        yield program.manager
