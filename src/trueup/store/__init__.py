"""The book and everything that must survive a crash: SQLite, PostgreSQL, and memory for the simulation.

Importing this package imports no database driver; the first use does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.store.memory import MemoryDatabase, MemoryStore
from trueup.store.repository import PositionNotActive, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trueup.ports import Store
    from trueup.store.migrate import UpgradeReport

__all__ = [
    "MemoryDatabase",
    "MemoryStore",
    "PositionNotActive",
    "Repository",
    "backup",
    "open_store",
    "restore",
    "upgrade",
]


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


async def upgrade(
    url: str,
    *,
    legacy_account: str | None = None,
    legacy_accounts: Mapping[str, str] | None = None,
    legacy_exchange: str | None = None,
    keep_newest: bool = False,
) -> UpgradeReport:
    """Brings the store's schema to this program's revision; nothing happens to one that has it.

    Args:
        url: As for `open_store`.
        legacy_account: The account of the old system's rows, where they are all of one exchange.
        legacy_accounts: Exchange → account, where the old table holds several.
        legacy_exchange: Of old rows that name none.
        keep_newest: Lets the newest of several active old rows of one key stay, the others become ``superseded``.

    Raises:
        LegacyChoiceNeeded: (a ConfigurationError) One of the above must be said first.
        ConfigurationError: A newer schema, or an old table that cannot be taken over; nothing was changed.
        StoreUnavailable: The database does not answer or refuses; nothing was changed.
    """
    from trueup.store.database import Database, locate
    from trueup.store.legacy import LegacyChoice
    from trueup.store.migrate import upgrade_database

    choice = LegacyChoice(
        account=legacy_account,
        accounts=dict(legacy_accounts or {}),
        exchange=legacy_exchange,
        keep_newest=keep_newest,
    )
    database = Database(locate(url), foreign_keys=False)
    try:
        return await upgrade_database(database, choice)
    finally:
        await database.dispose()


async def backup(url: str, path: Path) -> str:
    """Copies the store to a new file, consistent as of one moment, while it may be in use; returns a sentence.

    An SQLite store becomes an SQLite file that `open_store` opens; a PostgreSQL one becomes JSON lines for `restore`.

    Raises:
        ConfigurationError: The file exists, or its folder does not.
        StoreUnavailable: The database or the disk refuses; no file is left behind.
    """
    from trueup.store.backup import copy_store
    from trueup.store.database import Database, locate

    database = Database(locate(url))
    try:
        return await copy_store(database, path)
    finally:
        await database.dispose()


async def restore(url: str, path: Path) -> str:
    """Reads a `backup` of a PostgreSQL store into an upgraded, empty database; returns a sentence.

    Raises:
        ConfigurationError: Not such a file, or the database holds rows; nothing was written.
        StoreUnavailable: The database does not answer or refuses; nothing was written.
    """
    from trueup.store.backup import restore_store
    from trueup.store.database import Database, locate

    database = Database(locate(url))
    try:
        return await restore_store(database, path)
    finally:
        await database.dispose()
