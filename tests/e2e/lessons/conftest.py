"""Benches whose store is there already: a copy of a migrated one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.bench import Bench, open_bench
from tests.support.postgres import PostgresServer
from trueup.store import upgrade


def _upgraded(url: str) -> None:
    asyncio.run(upgrade(url))


@pytest.fixture(scope="session")
def empty_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "book.db"
    _upgraded(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path, empty_book: Path) -> str:
    shutil.copy(empty_book, tmp_path / "book.db")
    return f"sqlite:///{tmp_path / 'book.db'}"


@pytest.fixture
async def bench(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path, sqlite_url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database(_upgraded)


@pytest.fixture
async def any_bench(tmp_path: Path, any_url: str) -> AsyncIterator[Bench]:
    """Over either database; what a test reads or writes there by itself goes through its desk."""
    async with open_bench(tmp_path, any_url) as opened:
        yield opened
