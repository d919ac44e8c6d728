"""What commands are told by the real program over an embedded store, where no venue is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.bootstrap.doctor import examine
from trueup.bootstrap.services import open_services
from trueup.config import Settings, parse_settings
from trueup.model.errors import ConfigurationError

ACCOUNTS = """
[[accounts]]
name = "main"
venue = "binanceusdm"
api_key = "env:BINANCE_KEY"
api_secret = "env:BINANCE_SECRET"

[[accounts]]
name = "spare"
venue = "bybit"
api_key = "env:BYBIT_KEY"
api_secret = "env:BYBIT_SECRET"
"""


def settings(folder: Path, store: str = "trueup.db") -> Settings:
    return parse_settings(f'[store]\nurl = "sqlite:///{store}"\n{ACCOUNTS}', folder / "trueup.toml", {})


async def test_a_store_that_does_not_open_is_told_once(tmp_path: Path) -> None:
    found = await examine(settings(tmp_path, "nowhere/trueup.db"))

    assert [check.scope for check in found if check.level == "error"] == ["store"]
    assert [(check.scope, check.detail) for check in found if check.level == "warning"] == [
        ("main", "not looked at: the store must open first"),
        ("spare", "not looked at: the store must open first"),
    ]


async def test_a_number_that_no_store_holds_names_nothing(tmp_path: Path) -> None:
    async with open_services(settings(tmp_path)) as services:
        with pytest.raises(ConfigurationError, match="none under that number"):
            await services.explain(10**20)
        asked = {"account": None, "type": None, "after_id": 0}
        assert await services.events(position_id=10**20, limit=None, **asked) == []
        assert await services.events(position_id=None, limit=10**20, **asked) == []
