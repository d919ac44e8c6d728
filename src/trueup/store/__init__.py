"""The book and everything that must survive a crash: SQLite, PostgreSQL, and memory for the simulation.

Importing this package imports no database driver; the first use does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.store.memory import MemoryDatabase, MemoryStore
from trueup.store.repository import PositionNotActive, Repository

if TYPE_CHECKING:
    from trueup.ports import Store

__all__ = ["MemoryDatabase", "MemoryStore", "PositionNotActive", "Repository", "open_store"]


def open_store(url: str) -> Store:
    """The store of a `[store] url`; nothing is connected before its `open()`.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user@host/database``.

    Raises:
        ConfigurationError: The URL is none of these. No error holds the URL's password.
    """
    from trueup.store.database import locate
    from trueup.store.sql import SqlStore

    return SqlStore(locate(url))
