"""Who may write an account: leases with epochs that only grow, by the database's own clock.

1. A claim gives a new epoch, also to the same holder: a claim whose answer was lost is simply made again.
2. Another holder's claim succeeds only once the lease has run out or was released.
3. A released or overtaken owner's writes are refused by its epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from trueup.ports import Owner
from trueup.store.changeset import still_owned
from trueup.store.database import Database

__all__ = ["claim", "owner_of", "release", "renew"]

_NOW_SQL: Final = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
    "postgresql": "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
}

_LEASES_A_STATEMENT: Final = 500


def _now(database: Database) -> Any:
    """The database's clock, in milliseconds, read when the row is (after any wait for its lock)."""
    return sa.literal_column(_NOW_SQL[database.dialect], sa.BigInteger())


async def claim(database: Database, account: str, holder: str, ttl_s: float) -> Owner:
    """See `trueup.ports.Store.claim`."""
    owners, now = database.tables.owners, _now(database)
    expires_at = now + round(ttl_s * 1000)
    async with database.write(f"claiming account {account!r}") as connection:
        row = (
            await connection.execute(
                sa.select(owners.c.holder, owners.c.epoch, owners.c.expires_at_ms, now)
                .where(owners.c.account == account)
                .with_for_update()
            )
        ).first()
        if row is None:
            # Two first claims at once: the loser finds the winner's row by the conflict and reads it again.
            first = _insert(database, account=account, holder=holder, epoch=1, expires_at_ms=expires_at)
            if (await connection.execute(first)).rowcount == 1:
                return Owner(account=account, holder=holder, epoch=1)
            query = sa.select(owners.c.holder, owners.c.epoch, owners.c.expires_at_ms, now)
            row = (await connection.execute(query.where(owners.c.account == account).with_for_update())).one()
        owned_by, epoch, until, now_ms = row
        if owned_by not in ("", holder) and until > now_ms:
            raise still_owned(account, owned_by, epoch, until - now_ms, holder)
        taken = sa.update(owners).values(holder=holder, epoch=epoch + 1, expires_at_ms=expires_at)
        await connection.execute(taken.where(owners.c.account == account))
        return Owner(account=account, holder=holder, epoch=epoch + 1)


def _insert(database: Database, **values: Any) -> Any:
    if database.dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert(database.tables.owners).values(**values).on_conflict_do_nothing()


def _mine(database: Database, owner: Owner) -> Any:
    owners = database.tables.owners
    return sa.and_(owners.c.account == owner.account, owners.c.holder == owner.holder, owners.c.epoch == owner.epoch)


async def renew(database: Database, held: Sequence[Owner], ttl_s: float) -> list[Owner]:
    """See `trueup.ports.Store.renew`."""
    owners = database.tables.owners
    lease = sa.tuple_(owners.c.account, owners.c.holder, owners.c.epoch)
    prolonged = sa.update(owners).values(expires_at_ms=_now(database) + round(ttl_s * 1000))
    renewed = prolonged.returning(owners.c.account, owners.c.epoch)
    kept: set[tuple[str, int]] = set()
    async with database.write(f"renewing the leases of {len(held)} accounts") as connection:
        for first in range(0, len(held), _LEASES_A_STATEMENT):
            some = [(owner.account, owner.holder, owner.epoch) for owner in held[first : first + _LEASES_A_STATEMENT]]
            rows = await connection.execute(renewed.where(lease.in_(some)))
            kept.update((row[0], row[1]) for row in rows)
    return [owner for owner in held if (owner.account, owner.epoch) not in kept]


async def release(database: Database, owner: Owner) -> None:
    """See `trueup.ports.Store.release`. The row stays, so that epochs go on growing."""
    owners = database.tables.owners
    released = sa.update(owners).values(holder="", expires_at_ms=0).where(_mine(database, owner))
    async with database.write(f"releasing account {owner.account!r}") as connection:
        await connection.execute(released)


async def owner_of(database: Database, account: str) -> Owner | None:
    """See `trueup.ports.Store.owner_of`."""
    owners = database.tables.owners
    running = sa.and_(owners.c.account == account, owners.c.holder != "", owners.c.expires_at_ms > _now(database))
    async with database.read(f"reading the owner of account {account!r}") as connection:
        row = (await connection.execute(sa.select(owners.c.holder, owners.c.epoch).where(running))).first()
    return None if row is None else Owner(account=account, holder=row[0], epoch=row[1])
