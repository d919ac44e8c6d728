"""What a database's refusal means for the caller.

1. No text of an error holds a URL's password.
2. An answer that was lost while committing says so (`maybe_committed`); everything else committed nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from sqlalchemy import exc

from trueup.model.errors import ConfigurationError, Conflict, InvariantBroken, StoreUnavailable, TrueupError
from trueup.store.tables import ACTIVE_KEY

__all__ = ["DATABASE_ERRORS", "READ_ONLY", "rule_of", "sqlstate_of", "translated"]

DATABASE_ERRORS = (exc.SQLAlchemyError, sqlite3.Error, OSError)
"""What a driver raises (a timeout is an OSError); `asyncpg.PostgresError` only while connecting."""

READ_ONLY: Final = "25006"
"""What PostgreSQL answers to a write on a standby, or where somebody made the database read-only."""

_ID_KEYS: Final = ('"positions_pkey"', '"positions_id"')
"""PostgreSQL numbers on from its own last id, whatever ids a bot has written; each try takes the next."""

_SQLITE_MENDS = {
    "SQLITE_READONLY": "the file or its folder is read-only; make both writable for this user",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that its folder exists and is writable for this user",
    "SQLITE_NOTADB": "the file is not an SQLite database; name another file in [store] url",
    "SQLITE_CORRUPT": "the file is damaged; restore a backup",
    "SQLITE_FULL": "the disk is full; make room",
    "SQLITE_IOERR": "the disk refused to read or write; check it and its free space",
    "SQLITE_BUSY": "another process held the file's write lock for too long; look for a long transaction of a bot",
    "SQLITE_LOCKED": "another connection held the table's lock for too long",
}
_PERMANENT_SQLITE = ("SQLITE_NOTADB", "SQLITE_CANTOPEN")
_PG_MENDS = {
    READ_ONLY: "the server takes no writes (a standby?); the next try connects anew",
    "28": "check the user and password of [store] url",
    "3D": "create the database, or correct its name in [store] url",
    "42501": "grant this user the right on schema monitoring and its tables",
    "53100": "the server's disk is full; make room",
    "53300": "the server has no connection left; raise max_connections or close some",
    "57014": "the statement took too long, or somebody cancelled it; look for locks held by a bot",
    "55P03": "a lock was held for too long by another session",
}
_PERMANENT_PG = ("28", "3D")
_NO_RULE_PG = ("08", "25", "28", "40", "53", "55", "57", "58", "XX")
"""Classes that tell of the connection, the transaction, a lock or the server, not of the row."""
_RULE_SQLITE = ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH")
"""SQLITE_ERROR: a trigger that names a table or a column which is not there."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def sqlstate_of(error: BaseException) -> str | None:
    """PostgreSQL's five characters, where the error has them."""
    for part in _chain(error):
        state = getattr(part, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def _sqlite_name(error: BaseException) -> str | None:
    for part in _chain(error):
        name = getattr(part, "sqlite_errorname", None)
        if isinstance(name, str):
            return "_".join(name.split("_")[:2])
    return None


def _words(error: BaseException) -> str:
    """The database's own text, on one line."""
    original = getattr(error, "orig", None) or error
    text = " ".join(str(original).split()) or type(original).__name__
    return text.removeprefix("<class 'asyncpg.exceptions.").replace("'>:", ":") if text.startswith("<class") else text


def rule_of(error: BaseException) -> str | None:
    """The database's words where a rule of the table's owner refused a statement; None: it failed for another reason."""
    words, state = _words(error), sqlstate_of(error)
    if any(key in words for key in (ACTIVE_KEY, *_ID_KEYS)):
        return None
    if state is not None:
        return None if state[:2] in _NO_RULE_PG else words
    by_rule = isinstance(error, exc.IntegrityError) or _sqlite_name(error) in _RULE_SQLITE
    return words if by_rule else None


def translated(
    error: BaseException, *, where: str, doing: str, maybe_committed: bool = False, opening: bool = False
) -> TrueupError:
    """The error of ours for a driver's.

    Args:
        where: The database, described without its password.
        doing: What was being done, for the text.
        maybe_committed: Whether COMMIT had been sent.
        opening: Whether the store is being opened: what a person must mend is then a `ConfigurationError`.
    """
    words, name, state = _words(error), _sqlite_name(error), sqlstate_of(error)
    if isinstance(error, exc.IntegrityError):
        if ACTIVE_KEY in words:
            return Conflict(
                f"{where}, {doing}: another active row of the same account, symbol and side is already in the book; "
                "nothing was written, read it again"
            )
        if any(key in words for key in _ID_KEYS):
            return Conflict(
                f"{where}, {doing}: somebody gave a row the id that came next; nothing was written, read it again"
            )
        return InvariantBroken(f"{where}, {doing}: refused by a rule of the book: {words}; nothing was written")
    if isinstance(error, exc.DataError) or (state is not None and state[:2] == "22"):
        return InvariantBroken(f"{where}, {doing}: a value that the database cannot hold: {words}")
    mend = _SQLITE_MENDS.get(name or "", "")
    if state is not None:
        mend = _PG_MENDS.get(state) or _PG_MENDS.get(state[:2], "")
    if not mend and isinstance(error, OSError):
        mend = "check that the server runs and that host and port are right"
    text = f"{where}, {doing}: {words}" + (f"; {mend}" if mend else "")
    permanent = name in _PERMANENT_SQLITE or (state is not None and state[:2] in _PERMANENT_PG)
    if opening and permanent:
        return ConfigurationError(text)
    if maybe_committed and name in ("SQLITE_FULL", "SQLITE_BUSY"):
        maybe_committed = False  # SQLite says so before anything is durable
    return StoreUnavailable(text, maybe_committed=maybe_committed)
