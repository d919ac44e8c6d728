"""Logs go to stderr, at the level that was asked for, as text or JSON, and never with a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal

import pytest
import structlog
from cli_fakes import FakeServices, Run
from cli_samples import account_report, report

from trueup.model.errors import StoreUnavailable

SECRET = "s3cret-value-of-the-key"


@pytest.fixture
def talking(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    """`sync` logs at every level, with secrets in every place where one could slip in."""
    monkeypatch.setenv("BINANCE_KEY", SECRET)
    services.report = report()

    async def talk(**_arguments: object) -> None:
        settings = services.opened_with[-1]
        assert settings is not None
        key = settings.secret("main", "api_key").reveal()
        log = structlog.get_logger("trueup.engine")
        log.debug("look.started", account="main")
        log.info("look.done", account="main", secret=key, problem=f"refused {key}")
        log.warning("venue.refused", api_key=key, answer={"echo": key})
        log.error("effect.failed", url=f"https://host/?signature={key}")
        logging.getLogger("some.package").error("failed with %s", key)

    services.on["sync"] = talk
    return services


@pytest.mark.parametrize(
    ("words", "seen", "unseen"),
    [
        ([], ["venue.refused", "effect.failed", "failed with"], ["look.done", "look.started"]),
        (["--quiet"], ["effect.failed"], ["venue.refused"]),
        (["--verbose"], ["look.started", "look.done", "venue.refused"], []),
    ],
)
def test_levels(run: Run, talking: FakeServices, words: list[str], seen: list[str], unseen: list[str]) -> None:
    result = run("sync", *words)

    assert result.exit_code == 0
    assert all(each in result.stderr for each in seen)
    assert not any(each in result.stderr for each in unseen)
    assert "effect.failed" not in result.stdout


@pytest.mark.parametrize("words", [["--verbose"], ["--verbose", "--log-json"]], ids=" ".join)
def test_no_secret_reaches_a_log(run: Run, talking: FakeServices, words: list[str]) -> None:
    result = run("sync", *words)

    assert SECRET not in result.stderr + result.stdout
    assert "refused ***" in result.stderr


def test_json_is_one_object_a_line(run: Run, talking: FakeServices) -> None:
    rows = [json.loads(row) for row in run("sync", "--log-json", "--verbose").stderr.splitlines()]

    refused = next(row for row in rows if row["event"] == "venue.refused")
    assert refused["level"] == "warning"
    assert refused["api_key"] == "***"
    assert refused["at"].endswith("Z")
    foreign = next(row for row in rows if row["event"].startswith("failed with"))
    assert foreign["level"] == "error"


def test_no_secret_reaches_an_error(run: Run, talking: FakeServices) -> None:
    talking.fail["sync"] = StoreUnavailable(f"postgresql://bob:{SECRET}@db: refused")

    result = run("sync", "--json", "--verbose")

    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert SECRET not in result.stderr + result.stdout


@pytest.mark.parametrize("words", [[], ["--json"]], ids=" ".join)
def test_no_secret_reaches_a_result(run: Run, talking: FakeServices, words: list[str]) -> None:
    talking.report = report(account_report(observed=False, error=f"a proxy answered {SECRET}"))

    result = run("sync", *words)

    assert "a proxy answered ***" in result.stdout
    assert SECRET not in result.stdout + result.stderr


def test_no_secret_reaches_what_a_daemon_says_while_it_stops(run: Run, talking: FakeServices) -> None:
    async def stopped(**_arguments: object) -> None:
        settings = talking.opened_with[-1]
        assert settings is not None
        key = settings.secret("main", "api_key").reveal()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            raise StoreUnavailable(f"refused {key}")

    talking.on["run"] = stopped

    result = run("run")

    assert result.exit_code == 0
    assert "while stopping: StoreUnavailable: refused ***" in result.stderr
    assert SECRET not in result.stderr
