"""`Store.commit` on a database: one transaction under the owner's epoch.

1. The epoch is read in the transaction; on PostgreSQL the owner's row stays share-locked until its end, so a takeover
   waits for writes in flight.
2. A row is changed only at the version it was decided on; anything else writes nothing at all.
3. The number of statements depends on which kinds of change there are, not on how many.
4. Closes go before updates and updates before opens, so that a position can be closed and reopened in one commit.

Observations that belong to a position are kept as long as it; of the others (an account's) the newest
`UNBOUND_KEPT` of the last `UNBOUND_DAYS` days are.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from trueup.model.changes import ChangeSet, ClosePosition, Committed, NewPosition, UpdatePosition
from trueup.model.effects import EffectState
from trueup.model.errors import Conflict, RowsRefused
from trueup.model.holds import HoldState, NewHold
from trueup.model.times import DAY_MS
from trueup.model.values import to_json
from trueup.ports import Owner
from trueup.store import changeset
from trueup.store.batch import waves
from trueup.store.changeset import Inserted, RowState
from trueup.store.columns import closing_columns, opened_columns, order_row, trade_row, updated_columns
from trueup.store.database import Database
from trueup.store.failures import DATABASE_ERRORS, rule_of
from trueup.store.limits import UNBOUND_DAYS, UNBOUND_KEPT
from trueup.store.rows import TRADE_COLUMNS, storable
from trueup.store.statements import OPEN_COLUMNS, UPDATE_COLUMNS, Statements, statements_for

__all__ = ["commit", "fence"]


async def fence(connection: AsyncConnection, statements: Statements, owner: Owner) -> None:
    """Raises `NotOwner` unless the account still belongs to this epoch."""
    row = (await statements.fence.run(connection, account=owner.account)).first()
    found: tuple[str, int] | None = None if row is None else tuple(row)
    if found != (owner.holder, owner.epoch):
        raise changeset.not_owner(owner, found)


async def commit(database: Database, owner: Owner, changes: ChangeSet) -> Committed:
    """See `trueup.ports.Store.commit`."""
    changeset.check(owner.account, changes)
    statements = statements_for(database.dialect)
    doing = f"committing a decision on account {owner.account!r}"
    try:
        async with database.write(doing) as connection:
            await fence(connection, statements, owner)
            return await _Commit(connection, statements, changes).run()
    except _Refused as refused:
        changed = refused.changed
    # Rolled back: the rows stand as they were found, and say why.
    async with database.read(doing) as connection:
        await _explain(connection, statements, changes.account, changed)
    raise Conflict("a position changed while it was being written; nothing was written, read it again")


class _Refused(Exception):
    """Compare-and-set failed on one of these changes: rolls the transaction back."""

    def __init__(self, changed: Sequence[UpdatePosition | ClosePosition]) -> None:
        self.changed = changed
        super().__init__("compare-and-set failed")


async def _explain(
    connection: AsyncConnection,
    statements: Statements,
    account: str,
    changed: Sequence[UpdatePosition | ClosePosition],
) -> None:
    """Raises what the first row says on which compare-and-set must have failed."""
    positions = statements.tables.positions
    columns = (positions.c.id, positions.c.account, positions.c.status, positions.c.version, positions.c.evidence)
    wanted = positions.c.id.in_([change.position_id for change in changed])
    states = {row[0]: RowState(*row) for row in await connection.execute(sa.select(*columns).where(wanted))}
    for change in changed:
        state = states.get(change.position_id)
        if state is None:
            raise changeset.unknown_row(change.position_id)
        if isinstance(change, UpdatePosition):
            changeset.refuse_update(state, account, change.version)
        elif change.amends:
            changeset.refuse_amendment(state, account, change.version, change.details.evidence)
        else:
            changeset.refuse_close(state, account, change.version)


class _Commit:
    """The parts of one commit, in their order."""

    def __init__(self, connection: AsyncConnection, statements: Statements, changes: ChangeSet) -> None:
        self._connection = connection
        self._statements = statements
        self._changes = changes
        self._on_pg = statements.dialect == "postgresql"

    async def run(self) -> Committed:
        changes = self._changes
        await self._close(changes.closes)
        await self._update(changes.updates)
        position_ids = await self._open(changes.opens)
        self._inserted = Inserted(changes.opens, position_ids)
        await self._orders()
        await self._trades()
        await self._effect_updates()  # an effect that ends makes room for another of its name
        effect_ids = await self._effects()
        await self._hold_updates()
        hold_ids = await self._holds()
        await self._marks()
        await self._trailing()
        await self._observations()
        return Committed(
            position_ids=tuple(position_ids),
            effect_ids=tuple(effect_ids),
            hold_ids=tuple(hold_ids),
            event_ids=tuple(await self._events()),
        )

    async def _open(self, opens: Sequence[NewPosition]) -> list[int]:
        if not opens:
            return []
        values = [opened_columns(opened, self._changes.now_ms) for opened in opens]
        rows = [tuple(value.get(name) for name in OPEN_COLUMNS) for value in values]
        found, problem = await self._inserted_rows(rows)
        if problem is None:
            return found
        problems = {}
        for place, row in enumerate(rows):
            words = (await self._inserted_rows([row], keep=False))[1]
            if words is not None:
                problems[place] = words
        account = f"account {self._changes.account!r}"
        raise RowsRefused(account, problems or dict.fromkeys(range(len(rows)), problem))

    async def _inserted_rows(self, rows: Sequence[Sequence[Any]], *, keep: bool = True) -> tuple[list[int], str | None]:
        """Ids of new positions, and why a rule of the table's owner refused them. `keep` False: only to see whether it does."""
        savepoint = await self._connection.begin_nested()
        problem: str | None = None
        found: list[int] = []
        try:
            found = await self._statements.open.run(self._connection, rows)
        except DATABASE_ERRORS as error:
            problem = rule_of(error)
            if problem is None:
                raise
        if problem is None and len(found) != len(rows):
            problem = "a trigger leaves the row out"
        if keep and problem is None:
            await savepoint.commit()
        else:
            await savepoint.rollback()
        return found, problem

    async def _update(self, updates: Sequence[UpdatePosition]) -> None:
        if not updates:
            return
        values = [updated_columns(update) for update in updates]
        changed = tuple(name for name in UPDATE_COLUMNS if any(each[name] is not None for each in values))
        batch = self._statements.update(changed, clears=any(each["clear_suspected"] for each in values))
        rows = []
        for update, own in zip(updates, values, strict=True):
            both = own | self._target(update)
            rows.append(tuple(both[name] for name in batch.names))
        if await batch.run(self._connection, rows) != len(rows):
            raise _Refused(updates)

    def _target(self, change: UpdatePosition | ClosePosition) -> dict[str, Any]:
        changes = self._changes
        return {
            "id": change.position_id,
            "version": change.version,
            "account": changes.account,
            "updated_at": changes.now_ms,
        }

    async def _close(self, closes: Sequence[ClosePosition]) -> None:
        for amends in (False, True):
            chosen = [closing for closing in closes if closing.amends is amends]
            if not chosen:
                continue
            batch = self._statements.amend if amends else self._statements.close
            rows = []
            for closing in chosen:
                rank = closing.details.evidence.rank
                values = closing_columns(closing) | self._target(closing) | {"rank": rank}
                rows.append(tuple(values[name] for name in batch.names))
            if await batch.run(self._connection, rows) != len(rows):
                raise _Refused(chosen)

    async def _orders(self) -> None:
        if not self._changes.orders and not self._changes.forget_orders:
            return
        rows = [
            order_row(
                order, self._inserted.optional(f"order {order.order_id}", order.position_id, order.key, order.tag)
            )
            for order in self._changes.orders
        ]
        for group in waves(rows, lambda row: (row[2], row[3])):
            await self._statements.order.run(self._connection, group)
        forgotten = [
            (self._changes.account, symbol, order_id, status.value, self._changes.now_ms)
            for symbol, order_id, status in self._changes.forget_orders
        ]
        if forgotten:
            await self._statements.forget_order.run(self._connection, forgotten)

    async def _trades(self) -> None:
        amended = [(closing.position_id,) for closing in self._changes.closes if closing.amends]
        if amended:
            await self._statements.forget_trades.run(self._connection, amended)
        rows = [
            trade_row(
                trade,
                self._inserted.need(f"trade {trade.fill.trade_id}", trade.position_id, trade.key, trade.tag),
            )
            for trade in self._changes.trades
        ]
        if not rows:
            return
        columns = zip(TRADE_COLUMNS, zip(*rows, strict=True), strict=True)
        places = [nth for nth, (_, column) in enumerate(columns) if any(value is not None for value in column)]
        batch = self._statements.trade(tuple(TRADE_COLUMNS[nth] for nth in places))
        told = operator.itemgetter(*places)
        for group in waves(rows, lambda row: (row[1], row[3], row[4])):
            await batch.run(self._connection, [told(row) for row in group])

    async def _effects(self) -> list[int]:
        effects = self._changes.effects
        if not effects:
            return []
        account, statements = self._changes.account, self._statements
        rows: dict[str, tuple[Any, ...]] = {}
        for effect in effects:
            owned_by = self._inserted.optional(f"effect {effect.dedup_key}", effect.position_id, effect.key)
            at_ms = effect.created_at_ms
            key = storable(effect.dedup_key)
            row = (account, effect.kind.value, key, effect.payload, owned_by)
            rows.setdefault(key, (*row, EffectState.PENDING.value, 0, at_ms, at_ms))
        if self._on_pg:
            found = await statements.effect.fetch(self._connection, list(rows.values()))
        else:
            await statements.effect.run(self._connection, list(rows.values()))
            wanted = await statements.effect_ids.run(self._connection, account=account, wanted=to_json(list(rows)))
            found = list(wanted.fetchall())
        ids = {row[0]: row[1] for row in found}
        return [ids[storable(effect.dedup_key)] for effect in effects]

    async def _effect_updates(self) -> None:
        updates = self._changes.effect_updates
        if not updates:
            return
        rows = [
            (
                self._changes.account,
                update.effect_id,
                update.state.value,
                update.attempts,
                update.next_attempt_at_ms,
                update.outcome,
                update.last_error,
                update.done_at_ms,
            )
            for update in updates
        ]
        written = 0
        for group in waves(rows, lambda row: row[1]):
            written += await self._statements.effect_update.run(self._connection, group)
        if written != len(rows):
            raise changeset.stale_effect(self._changes.account)

    async def _hold_updates(self) -> None:
        updates = self._changes.hold_updates
        if not updates:
            return
        rows = [(self._changes.account, u.hold_id, u.state.value, u.at_ms, u.note) for u in updates]
        written = 0
        for group in waves(rows, lambda row: row[1]):
            written += await self._statements.hold_update.run(self._connection, group)
        if written != len(rows):
            raise changeset.stale_hold(self._changes.account)

    async def _holds(self) -> list[int]:
        """Rare and few: one at a time."""
        return [await self._hold(hold) for hold in self._changes.holds]

    async def _hold(self, hold: NewHold) -> int:
        holds = self._statements.tables.holds
        standing = sa.select(holds.c.id).where(
            holds.c.account == hold.account,
            holds.c.kind == hold.kind.value,
            holds.c.fingerprint == storable(hold.fingerprint),
            holds.c.state.in_([state.value for state in changeset.STANDING]),
        )
        known = (await self._connection.execute(standing)).scalar()
        if known is None:
            raised = self._insert(holds).values(
                account=hold.account,
                kind=hold.kind.value,
                state=HoldState.OPEN.value,
                fingerprint=storable(hold.fingerprint),
                keys=to_json(hold.keys),
                position_ids=to_json(hold.position_ids),
                summary=storable(hold.summary),
                data=to_json(hold.data),
                raised_at_ms=hold.raised_at_ms,
            )
            raising = raised.on_conflict_do_nothing().returning(holds.c.id)
            known = (await self._connection.execute(raising)).scalar()
        if known is None:
            # Another commit of this owner was raising it: it stands now, as if it had been there before.
            known = (await self._connection.execute(standing)).scalar()
        if known is None:
            raise changeset.stale_hold(hold.account)
        return int(known)

    def _insert(self, table: sa.Table) -> Any:
        if self._on_pg:
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
        return insert(table)

    async def _marks(self) -> None:
        cleared = [(key.account, key.symbol, key.side.value, kind.value) for key, kind in self._changes.clear_marks]
        if cleared:
            await self._statements.clear_mark.run(self._connection, cleared)
        rows = [
            (
                mark.key.account,
                mark.key.symbol,
                mark.key.side.value,
                mark.kind.value,
                mark.first_at_ms,
                mark.last_as_of_ms,
                mark.count,
                mark.detail,
            )
            for mark in self._changes.marks
        ]
        for group in waves(rows, lambda row: row[:4]):
            await self._statements.mark.run(self._connection, group)

    async def _trailing(self) -> None:
        rows = [
            (
                record.position_id,
                self._changes.account,
                record.state.phase.value,
                record.state.peak_price,
                record.state.trigger_price,
                record.state.moved_at_ms,
                record.saved_at_ms,
            )
            for record in self._changes.trailing
        ]
        await self._statements.trailing.run(self._connection, rows)

    async def _observations(self) -> None:
        seen = self._changes.observations
        if not seen:
            return
        rows = [
            (o.account, self._inserted.find(o.position_id, o.key, o.tag), o.at_ms, o.name, o.input, o.output)
            for o in seen
        ]
        await self._statements.observation.run(self._connection, rows)
        if any(row[1] is None for row in rows):
            await self._prune_observations()

    async def _prune_observations(self) -> None:
        kept = self._statements.tables.observations
        unbound = (kept.c.account == self._changes.account, kept.c.position_id.is_(None))
        newest = sa.select(kept.c.id).where(*unbound).order_by(kept.c.id.desc()).limit(1).offset(UNBOUND_KEPT)
        too_old = kept.c.at_ms < self._changes.now_ms - UNBOUND_DAYS * DAY_MS
        too_many = kept.c.id <= newest.scalar_subquery()
        await self._connection.execute(sa.delete(kept).where(*unbound, sa.or_(too_old, too_many)))

    async def _events(self) -> list[int]:
        rows = []
        for event in self._changes.events:
            position_id = self._inserted.find(event.position_id, event.key, event.tag)
            data = to_json(changeset.event_data(event, position_id))
            rows.append(
                (event.at_ms, event.type.value, event.severity.value, event.account, event.symbol, position_id, data)
            )
        return await self._statements.event.run(self._connection, rows)
