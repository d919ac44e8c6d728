"""Which revision a store's schema has, and how it gets to this program's.

1. A schema is moved in one transaction: as a whole or not at all.
2. An embedded store is moved when it is opened; a PostgreSQL one only by `trueup db upgrade`.
3. A table of another system is never touched unless somebody said which account it belongs to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from trueup.model.errors import ConfigurationError
from trueup.model.values import Value
from trueup.store.database import Database
from trueup.store.legacy import LegacyChoice, LegacyReport, adapt, find_legacy, finish

__all__ = ["HEAD", "REVISIONS", "UpgradeReport", "ensure", "upgrade_database"]

REVISIONS: Final = ("0001", "0002", "0003")
HEAD: Final = REVISIONS[-1]
_VERSION_TABLE: Final = "trueup_version"
_UPGRADE_LOCK: Final = 0x74727565_75700002  # one key of PostgreSQL's advisory locks


class UpgradeReport(Value, frozen=True, kw_only=True):
    """What `trueup db upgrade` did.

    Attributes:
        previous: The revision found; None for an empty store or one of the old system.
        legacy: What was done to a table of the old system; None if there was none.
    """

    previous: str | None
    revision: str
    legacy: LegacyReport | None = None

    @property
    def changed(self) -> bool:
        return self.previous != self.revision

    def __str__(self) -> str:
        if not self.changed:
            return f"the store is up to date (revision {self.revision})"
        moved = f"the store now has revision {self.revision} (before: {self.previous or 'none'})"
        return moved if self.legacy is None else f"{moved}; {self.legacy}"


async def _revision(connection: AsyncConnection) -> str | None:
    """The schema's revision; None if trueup never wrote there."""
    if connection.dialect.name == "sqlite":
        found = await connection.exec_driver_sql(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (_VERSION_TABLE,)
        )
        if found.scalar() is None:
            return None
        return str((await connection.exec_driver_sql("SELECT version_num FROM trueup_version")).scalar())
    found = await connection.exec_driver_sql("SELECT to_regclass('monitoring.trueup_version')::text")
    if found.scalar() is None:
        return None
    return str((await connection.exec_driver_sql("SELECT version_num FROM monitoring.trueup_version")).scalar())


def _refuse_newer(database: Database, revision: str) -> None:
    if revision not in REVISIONS:
        raise ConfigurationError(
            f"{database.location}: its schema has revision {revision}, this program knows up to {HEAD}; it was written "
            "by a newer trueup: install that version"
        )


async def ensure(database: Database) -> None:
    """Makes sure that the schema is this program's, moving an embedded one there.

    Raises:
        ConfigurationError: Older or missing (PostgreSQL), newer, or the tables of another system.
    """
    database.check_place()
    async with database.read("opening", opening=True) as connection:
        revision = await _revision(connection)
    if revision == HEAD:
        return
    if revision is not None:
        _refuse_newer(database, revision)
    if database.dialect == "postgresql":
        found = "has no tables of trueup" if revision is None else f"has schema revision {revision}, expected {HEAD}"
        raise ConfigurationError(f"{database.location} {found}; run: trueup db upgrade")
    await upgrade_database(database, None)


async def upgrade_database(database: Database, choice: LegacyChoice | None) -> UpgradeReport:
    """Moves the schema to `HEAD`; nothing happens to one that is there already.

    Args:
        choice: What to do with a table of the old system; None refuses one.

    Raises:
        ConfigurationError: Newer, or a table of the old system that needs a choice or cannot be adapted.
    """
    database.check_place()
    async with database.write("upgrading the schema", opening=True) as connection:
        if database.dialect == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
        revision = await _revision(connection)
        if revision == HEAD:
            return UpgradeReport(previous=revision, revision=HEAD)
        legacy = None
        if revision is not None:
            _refuse_newer(database, revision)
        else:
            legacy = await connection.run_sync(_prepare, str(database.location), choice)
        await connection.run_sync(_migrate)
        if legacy is not None:
            await connection.run_sync(finish, str(database.location), legacy)
    return UpgradeReport(previous=revision, revision=HEAD, legacy=legacy)


def _prepare(connection: sa.Connection, where: str, choice: LegacyChoice | None) -> LegacyReport | None:
    """Makes the schema, and adapts what another system left there."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS monitoring")
    found = find_legacy(connection, where)
    return None if found is None else adapt(connection, found, choice)


def _migrate(connection: sa.Connection) -> None:
    """Alembic, on this connection and inside its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
