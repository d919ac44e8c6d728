"""A served venue, a store and the real command, for end-to-end tests.

The venue runs in the test's own loop behind real sockets; every command is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from trueup.sim.faults import Fault
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import (
    ConditionalKind,
    ConditionalOrder,
    Leg,
    OrderType,
    PositionMode,
    Side,
    TriggerBy,
    Venue,
)
from trueup.sim.world.world import World

VENUES: Mapping[str, Venue] = {"binanceusdm": "binance", "bybit": "bybit"}
_STOPS_WITHIN_S = 120.0


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Bench:
    """One world with its server, one configuration, one store."""

    folder: Path
    world: World
    server: VenueServer
    store_url: str
    sync: dict[str, str] = field(default_factory=dict)
    protection: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    listen: str = ""

    def account(self, name: str, venue: str, mode: str = "sync", *, hedge: bool = False, **keys: str) -> str:
        """Opens an account in the world and names it in the configuration. `keys` are TOML values."""
        spec = self.world.add_account(name, VENUES[venue], mode=PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)
        stem = name.upper().replace("-", "_")
        self.environ[f"{stem}_KEY"], self.environ[f"{stem}_SECRET"] = spec.api_key, spec.api_secret
        self.accounts[name] = {
            "venue": f'"{venue}"',
            "mode": f'"{mode}"',
            "api_key": f'"env:{stem}_KEY"',
            "api_secret": f'"env:{stem}_SECRET"',
            "rest_url": f'"{self.server.rest_url}"',
            "ws_url": f'"{self.server.ws_url}"',
            **keys,
        }
        return name

    @property
    def config(self) -> Path:
        return self.folder / "trueup.toml"

    def write_config(self) -> None:
        sync = {"confirm_after_s": "0", "new_row_grace_s": "0", **self.sync}
        protection = {"grace_s": "0", **self.protection}
        parts = [f'[store]\nurl = "{self.store_url}"\n', _table("sync", sync), _table("protection", protection)]
        parts += [_table("alerts", self.alerts), f'[http]\nlisten = "{self.listen}"\n']
        for name, keys in self.accounts.items():
            parts.append("[[accounts]]\n" + f'name = "{name}"\n' + "".join(f"{k} = {v}\n" for k, v in keys.items()))
        self.config.write_text("\n".join(parts))

    async def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        """The command as a process."""
        self.write_config()
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trueup",
            *arguments,
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env={**self.process_environ(), **(environ or {})},
        )

    def process_environ(self) -> dict[str, str]:
        """What a process of the command is given: this one's, and the keys of the accounts."""
        return {**os.environ, **self.environ, "NO_COLOR": "1"}

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """`trueup run` as a process that writes `run_log`, told to stop at the end. RuntimeError if it does not, or fails."""
        self.write_config()
        with self.run_log.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "trueup", "run", "--config", str(self.config),
                stdout=written, stderr=written, cwd=self.folder, env=self.process_environ(),
            )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await self._end(process)
        if process.returncode:
            raise RuntimeError(f"trueup run ended with {process.returncode}: {self.run_log_end()}")

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), _STOPS_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise RuntimeError(
                f"trueup run did not stop within {_STOPS_WITHIN_S:.0f} s: {self.run_log_end()}"
            ) from None

    @property
    def run_log(self) -> Path:
        return self.folder / "run.log"

    def run_log_end(self) -> str:
        return self.run_log.read_text(encoding="utf-8", errors="replace")[-2_000:]

    async def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Done:
        """The command, to its end."""
        process = await self.start(*arguments, environ=environ)
        try:
            out, err = await asyncio.wait_for(process.communicate(), 100)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            raise
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def sync_report(self, account: str, code: int, *arguments: str) -> Any:
        """`trueup sync --json` of one account, which must end with `code`; its part of the answer."""
        done = await self.run("sync", "--json", "--account", account, *arguments)
        assert done.code == code, f"exit {done.code}, wanted {code}\n{done.out}\n{done.err}"
        return done.json["accounts"][account]

    async def positions(self, status: str = "active") -> list[Any]:
        done = await self.run("positions", "--json", "--status", status)
        assert done.code == 0, done.err
        return list(done.json)

    async def events(self, kind: str | None = None) -> list[Any]:
        arguments = ("--type", kind) if kind else ()
        done = await self.run("events", "--json", *arguments)
        assert done.code == 0, done.err
        return done.lines

    def fault(self, fault: Fault) -> int:
        return self.server.front.faults.add(fault).fault_id

    def mend(self) -> None:
        self.server.front.faults.clear()

    def stop_order(
        self,
        account: str,
        symbol: str,
        side: str,
        quantity: str,
        trigger: str,
        *,
        hedge: bool = False,
        client_id: str = "",
    ) -> ConditionalOrder:
        """A reduce-only stop under a `long` or `short` position, as a bot places it."""
        exit_side = Side.SELL if side == "long" else Side.BUY
        leg = (Leg.LONG if side == "long" else Leg.SHORT) if hedge else Leg.NET
        request = ConditionalRequest(
            symbol=symbol,
            side=exit_side,
            kind=ConditionalKind.STOP,
            order_type=OrderType.MARKET,
            quantity=Decimal(quantity),
            trigger_price=Decimal(trigger),
            trigger_by=TriggerBy.MARK,
            leg=leg,
            reduce_only=not hedge,
            client_order_id=client_id,
        )
        return self.world.place_conditional(account, request)

    def book_bytes(self) -> dict[str, list[tuple[Any, ...]]]:
        """The book's tables, row by row, of an embedded store."""
        with sqlite3.connect(self.sqlite_file) as connection:
            return {
                table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
                for table in ("positions", "orders", "trades")
            }

    def execute(self, statement: str, *values: object) -> None:
        """What a bot does with its own connection to an embedded store."""
        with sqlite3.connect(self.sqlite_file) as connection:
            connection.execute(statement, values)

    def insert_row(self, account: str, venue: str, symbol: str, side: str, quantity: str, entry_price: str) -> None:
        """A bot's own INSERT: the nine columns of the contract."""
        self.execute(
            "INSERT INTO positions (account, exchange, symbol, side, entry_price, quantity, status, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 'active', datetime('now'), datetime('now'))",
            account,
            venue,
            symbol,
            side,
            entry_price,
            quantity,
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of an embedded store; empty while the store is not there yet."""
        if not self.sqlite_file.exists():
            return []
        with sqlite3.connect(self.sqlite_file) as connection:
            connection.row_factory = sqlite3.Row
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] if known else []

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every table of an embedded store."""
        with sqlite3.connect(self.sqlite_file) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: self.rows(table) for table in tables}

    @property
    def sqlite_file(self) -> Path:
        return Path(self.store_url.removeprefix("sqlite:///"))


def _table(name: str, keys: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


@asynccontextmanager
async def open_bench(
    folder: Path, store_url: str | None = None, *, seed: int = 11, clock_offset_ms: int = 0
) -> AsyncIterator[Bench]:
    """`clock_offset_ms`: the venue's clock minus the machine's."""
    world = served_world(seed, clock_offset_ms=clock_offset_ms)
    async with VenueServer(world) as server:
        yield Bench(folder, world, server, store_url or f"sqlite:///{folder / 'book.db'}")
