"""Each test of this folder runs over every store that its fixture names."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.store.backends import Backend, MemoryBackend, PostgresqlBackend, SqlBackend, SqliteBackend
from tests.support.postgres import PostgresServer
from trueup.ports import Owner, Store
from trueup.store import upgrade

KINDS = ("memory", "sqlite", "postgresql")


def _upgraded(url: str) -> None:
    asyncio.run(upgrade(url))


def _make(kind: str, folder: Path, request: pytest.FixtureRequest) -> MemoryBackend | SqlBackend:
    if kind == "memory":
        return MemoryBackend()
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "book.db")
        return SqliteBackend(folder)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return PostgresqlBackend(server.new_database(_upgraded))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store, copied for each test."""
    path = tmp_path_factory.mktemp("template") / "book.db"
    _upgraded(f"sqlite:///{path}")
    return path


@pytest.fixture(params=KINDS)
def any_backend(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryBackend | SqlBackend:
    return _make(request.param, tmp_path, request)


@pytest.fixture(params=KINDS[1:])
def real_backend(request: pytest.FixtureRequest, tmp_path: Path) -> SqlBackend:
    made = _make(request.param, tmp_path, request)
    assert isinstance(made, SqlBackend)
    return made


@pytest.fixture
async def backend(any_backend: MemoryBackend | SqlBackend) -> AsyncIterator[Backend]:
    """Memory, SQLite and PostgreSQL."""
    yield any_backend
    await any_backend.aclose()


@pytest.fixture
async def sql_backend(real_backend: SqlBackend) -> AsyncIterator[SqlBackend]:
    """What only a real database can show; opened once, so that its tables are there."""
    await real_backend.store()
    yield real_backend
    await real_backend.aclose()


@pytest.fixture
def upgraded_postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database(_upgraded)


@pytest.fixture
async def postgresql_backend(upgraded_postgres_url: str) -> AsyncIterator[PostgresqlBackend]:
    """What only PostgreSQL can show."""
    made = PostgresqlBackend(upgraded_postgres_url)
    yield made
    await made.aclose()


@pytest.fixture
async def store(backend: Backend) -> Store:
    return await backend.store()


@pytest.fixture
async def owner(store: Store) -> Owner:
    return await store.claim("main", "test", 60)
