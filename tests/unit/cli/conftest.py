"""The command line over fake services, called in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from cli_fakes import FakeServices, Run
from cli_samples import NOW_MS
from typer.testing import CliRunner, Result

from trueup.cli import build_app

CONFIG = """\
[[accounts]]
name = "main"
venue = "binanceusdm"
mode = "sync"
api_key = "env:BINANCE_KEY"
api_secret = "env:BINANCE_SECRET"

[[accounts]]
name = "spare"
venue = "bybit"
api_key = "env:BYBIT_KEY"
api_secret = "env:BYBIT_SECRET"
"""


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a valid trueup.toml, made the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUEUP_CONFIG", "FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "trueup.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def run(services: FakeServices, config: Path) -> Run:
    """Calls `trueup` with these words; the clock stands at `NOW_MS`."""

    def call(*words: str, **options: object) -> Result:
        app = build_app(services.open, clock_ms=lambda: NOW_MS)
        return CliRunner().invoke(app, list(words), prog_name="trueup", **options)  # type: ignore[arg-type]

    return call
