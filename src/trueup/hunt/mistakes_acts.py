"""Deliberate bugs in what is done on the venue, and in who does it: each is what a hurried change would bring."""

from __future__ import annotations

from typing import Any

import msgspec

from trueup.core import protection, review
from trueup.core.review import cancel_of
from trueup.core.settle import _Settler
from trueup.engine.acts import Acts, Attempt
from trueup.engine.effects import EffectsWorker
from trueup.engine.runner import Runner
from trueup.engine.stops import StopActs
from trueup.engine.supervisor import Supervisor
from trueup.engine.telling import NoticesWorker
from trueup.hunt.planting import Patch, bug, nothing
from trueup.model.effects import SUPERFLUOUS
from trueup.model.errors import NotDelivered
from trueup.model.orders import OpenOrder
from trueup.store.memory import MemoryStore

__all__: list[str] = []


# orders


@bug("every stop without a position is swept, whoever placed it")
def sweep_all(patch: Patch) -> None:
    def make(real: Any) -> Any:
        return lambda *args: [msgspec.structs.replace(orphan, cancellable=True) for orphan in real(*args)]

    patch.around(review, "orphans_among", make)


@bug("stops of ended lifecycles are left to themselves")
def orphans_ignored(patch: Patch) -> None:
    patch.put(_Settler, "_cancel_orders", lambda *_: None)
    patch.put(review, "orphans_among", lambda *_: [])


@bug("an order without close semantics is taken for a stop")
def entries_are_stops(patch: Patch) -> None:
    patch.put(OpenOrder, "closes", lambda self, side: self.order_side is side.exit_side)


@bug("a cancel does not look whether the position is open again", "crash", "net")
def cancel_unseen(patch: Patch) -> None:
    patch.put(Acts, "cancel", Acts.__dict__["send_cancel"])


@bug("the old stop goes before the new one stands")
def cancel_before_create(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def send(self: Any, wish: Any, row: Any, state: Any, wished: Any, stop: Any) -> Attempt:
            for order in wished.sweep:
                await self._acts.send_cancel(cancel_of(order, wish.side, SUPERFLUOUS))
            result: Attempt = await real(self, wish, row, state, wished, stop)
            return result

        return send

    patch.around(StopActs, "_send", make)


@bug("stops are not placed")
def no_stops(patch: Patch) -> None:
    patch.put(protection, "_placed", lambda state, wanted: None)


# effects


@bug("a market close is sent again without asking what became of the first", "net", "crash")
def close_blindly(patch: Patch) -> None:
    async def close(self: Any, wish: Any) -> Attempt:
        report = await self._open(wish)
        if report is None:
            return Attempt(done=False, outcome="flat: tried again")
        self.__dict__["_n"] = self.__dict__.get("_n", 0) + 1
        await self._venue.close_market(report, f"{wish.client_order_id}-{report.updated_at_ms % 100000}{self._n}")
        return Attempt(done=False, outcome="sent: tried again")

    patch.put(Acts, "close", close)


@bug("effects of before a restart are forgotten", "crash", "net")
def effects_forgotten(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def waiting(self: Any, **named: Any) -> list[Any]:
            since = self.__dict__.setdefault("_since", self._clock.now_ms())
            return [effect for effect in await real(self, **named) if effect.created_at_ms >= since]

        return waiting

    patch.around(EffectsWorker, "_waiting", make)


@bug("what an effect came to is not written")
def effects_unwritten(patch: Patch) -> None:
    patch.put(EffectsWorker, "_write", nothing)


@bug("an alert that was not delivered counts as told", "net", "http", "streams")
def alerts_lost(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def deliver(self: Any, notifier: Any, *args: Any) -> bool:
            class Deaf:
                places = notifier.places

                async def tell(self, notice: Any) -> None:
                    try:
                        await notifier.tell(notice)
                    except NotDelivered:
                        return

            result: bool = await real(self, Deaf(), *args)
            return result

        return deliver

    patch.around(NoticesWorker, "_deliver", make)


# processes


@bug("the epoch is not checked", "pause")
def no_epoch(patch: Patch) -> None:
    patch.put(MemoryStore, "_fence", lambda *_: None)


@bug("one failure ends the account's loop", "store", "pause")
def loop_ends(patch: Patch) -> None:
    async def keep(self: Any, runner: Any) -> None:
        try:
            async with self._leases.holding(runner.account) as owner:
                await self._manager.reload(runner.account)
                await self._beside(runner, owner)
        except Exception:
            return

    patch.put(Supervisor, "_keep", keep)


@bug("a person's request is taken and not answered")
def no_answer(patch: Patch) -> None:
    patch.put(Runner, "serve", nothing)
