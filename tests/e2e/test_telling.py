"""People are told: alerts at a real receiver, once, without secrets; `/metrics` and `/health` while the daemon is up."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.bench import Bench
from tests.support.receiver import Receiver, receiving
from trueup.sim.faults import Fault, FaultKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
CANCELS = {"binanceusdm": ("/fapi/v1/algoOrder", "DELETE"), "bybit": ("/v5/order/cancel", "POST")}
SECRET = "s3cr3t-token-of-the-webhook"


@pytest.fixture
async def receiver(bench: Bench) -> AsyncIterator[Receiver]:
    async with receiving(SECRET) as opened:
        bench.environ["ALERT_URL"] = opened.url
        bench.alerts["urls"] = '["env:ALERT_URL"]'
        yield opened


async def until(wanted: Callable[[], Any], *, seconds: float = 40) -> None:
    """Waits for a fact; raises when it does not come."""
    for _ in range(int(seconds / 0.1)):
        if wanted():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the fact did not come")


@asynccontextmanager
async def daemon(bench: Bench, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`trueup run`, stopped cleanly at the end; its words are kept beside the store."""
    process = await bench.start(*arguments, "run")
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        (bench.folder / "daemon.log").write_bytes(out + err)
    assert process.returncode == 0, err.decode()


def fail_cancels(bench: Bench, venue: str) -> None:
    path, method = CANCELS[venue]
    bench.fault(Fault(FaultKind.HTTP_ERROR, path=path, status=503, method=method))


def notices(bench: Bench) -> list[dict[str, Any]]:
    return [row for row in bench.rows("effects") if row["kind"] == "notify"]


def assert_nothing_tells_the_secrets(bench: Bench, receiver: Receiver, *texts: str) -> None:
    hidden = [SECRET, bench.environ["ALERT_URL"], *(v for k, v in bench.environ.items() if k.endswith("_SECRET"))]
    places = {
        "the store": json.dumps(bench.everything(), default=str),
        "the store's file": bench.sqlite_file.read_bytes().decode(errors="replace"),
        "the alerts": json.dumps(receiver.accepted),
        **{f"text {number}": text for number, text in enumerate(texts)},
    }
    for place, text in places.items():
        for secret in hidden:
            assert secret not in text, place


@BOTH
async def test_a_hold_is_told_once(bench: Bench, receiver: Receiver, venue: str) -> None:
    name = bench.account("main", venue)
    await bench.sync_report(name, 0)
    bench.insert_row(name, venue, "HIGHUSDT", "long", "10", "1.5")
    bench.insert_row(name, venue, "SOLUSDT", "long", "10", "1.5")
    assert receiver.accepted == []
    await bench.sync_report(name, 3)
    [told] = receiver.accepted
    assert told["title"] == "trueup main: a decision waits for you (mass_close)"
    assert "trueup holds" in told["message"]
    done = await bench.run("sync", "--json", "--verbose")
    assert len(receiver.accepted) == 1, "the same finding is told once"
    assert_nothing_tells_the_secrets(bench, receiver, done.out, done.err)
    assert receiver.paths == [f"/{SECRET}"], "the receiver was called with its token, so there was one to leak"


@BOTH
async def test_a_failed_cleanup_is_told_once(bench: Bench, receiver: Receiver, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    await bench.sync_report(name, 0)
    bench.world.close_position(name, "ETHUSDT", "long")
    fail_cancels(bench, venue)
    await bench.sync_report(name, 5)
    assert len(receiver.about("could not be cancelled")) == 1
    await bench.sync_report(name, 5)
    assert len(receiver.about("could not be cancelled")) == 1
    bench.mend()
    await bench.sync_report(name, 0)
    assert {row["state"] for row in notices(bench)} == {"done"}


async def test_an_alert_that_is_not_delivered_is_exit_5_and_delivered_later(bench: Bench, receiver: Receiver) -> None:
    name = bench.account("main", "bybit")
    await bench.sync_report(name, 0)
    bench.insert_row(name, "bybit", "HIGHUSDT", "long", "10", "1.5")
    receiver.status = 503
    done = await bench.run("sync", "--json")
    assert done.code == 5
    assert "alerts.urls[0] (json): refused with HTTP status 503" in done.err
    assert [row["state"] for row in notices(bench)] == ["escalated"]
    assert_nothing_tells_the_secrets(bench, receiver, done.out, done.err)
    assert len(await bench.events("NOTICE_FAILED")) == 1
    receiver.status = 200
    await bench.sync_report(name, 3)
    assert len(receiver.about("a decision waits")) == 1
    assert [row["state"] for row in notices(bench)] == ["done"]


async def test_without_a_place_nothing_is_written(bench: Bench) -> None:
    name = bench.account("main", "bybit")
    await bench.sync_report(name, 0)
    bench.insert_row(name, "bybit", "HIGHUSDT", "long", "10", "1.5")
    await bench.sync_report(name, 3)
    assert notices(bench) == []


async def test_a_receiver_that_hangs_delays_no_cancel(bench: Bench, receiver: Receiver) -> None:
    """The daemon cancels an ended position's stop while an alert's delivery has been hanging all along."""
    name = bench.account("main", "bybit", "protect")
    bench.sync["audit_interval_s"] = "0.5"
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    stop = bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    receiver.answering.clear()
    loop = asyncio.get_running_loop()
    async with daemon(bench):
        await until(lambda: receiver.asked and bench.rows("orders"))
        hung_at = loop.time()
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: not bench.world.look(name).conditional(stop.conditional_id).is_open)
        assert loop.time() - hung_at < 9, "a delivery is given up after 10 s"
        assert receiver.accepted == []
        receiver.answering.set()
        await until(lambda: receiver.about("alive"))


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def samples(text: str) -> dict[tuple[str, str], float]:
    """(name, account or evidence) → value, read by Prometheus's own parser."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            found[sample.name, labels.get("evidence") or labels.get("account", "")] = sample.value
    return found


async def test_metrics_and_health_follow_an_outage_which_is_told(bench: Bench, receiver: Receiver) -> None:
    name = bench.account("main", "binanceusdm", "sync")
    bench.sync["audit_interval_s"] = "0.5"
    port = free_port()
    bench.listen = f"127.0.0.1:{port}"
    base = f"http://127.0.0.1:{port}"
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with daemon(bench):
        await until(lambda: bench.rows("positions"))
        await _until_health(base, 200)
        first = samples((await get(f"{base}/metrics"))[1])
        assert first["trueup_added_total", "main"] == 1
        assert first["trueup_closed_total", "fills"] == 0
        assert first["trueup_positions", "main"] == 1
        assert first["trueup_store_up", ""] == 1
        assert first["trueup_request_weight_used", "main"] > 0
        assert first["trueup_look_duration_seconds_count", "main"] == first["trueup_looks_total", "main"] >= 1
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: [row["status"] for row in bench.rows("positions")] == ["closed"])
        bench.fault(Fault(FaultKind.HTTP_ERROR, path="/fapi/v3/positionRisk", status=503))
        await _until_health(base, 503)
        told = json.loads((await get(f"{base}/health"))[1])
        assert told["accounts"]["main"]["healthy"] is False
        assert told["accounts"]["main"]["error"]
        assert told["owner"]
        await until(lambda: receiver.about("not observed since"))
        bench.mend()
        await _until_health(base, 200)
        await until(lambda: receiver.about("observed again"))
        last = samples((await get(f"{base}/metrics"))[1])
        assert last["trueup_closed_total", "fills"] == 1
        assert last["trueup_unobserved_total", "main"] >= 1
        assert last["trueup_looks_total", "main"] > first["trueup_looks_total", "main"]
        text = (await get(f"{base}/metrics"))[1] + (await get(f"{base}/health"))[1]
    assert len(receiver.about("not observed since")) == 1
    assert len(receiver.about("alive")) == 1
    assert len(await bench.events("ACCOUNT_UNOBSERVED")) == 1
    assert_nothing_tells_the_secrets(bench, receiver, text, (bench.folder / "daemon.log").read_text())


async def _until_health(base: str, wanted: int) -> None:
    """The address answers once the daemon listens."""
    for _ in range(400):
        try:
            if (await get(f"{base}/health"))[0] == wanted:
                return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"/health never answered {wanted}")


def argv_of(process: asyncio.subprocess.Process) -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_text()


async def test_no_secret_stands_on_the_command_line(bench: Bench, receiver: Receiver) -> None:
    bench.account("main", "bybit")
    async with daemon(bench) as process:
        await until(lambda: receiver.about("alive"))
        argv = argv_of(process)
        assert "run" in argv
        assert_nothing_tells_the_secrets(bench, receiver, argv)


async def test_a_taken_port_is_an_error_that_says_so(bench: Bench) -> None:
    bench.account("main", "bybit")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bench.listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = await bench.run("run")
    assert done.code == 2
    assert bench.listen in done.err
    assert 'listen = ""' in done.err


async def test_a_url_that_nobody_can_send_to_is_an_error_without_the_url(bench: Bench) -> None:
    bench.account("main", "bybit")
    bench.environ["ALERT_URL"] = f"nosuchservice://{SECRET}"
    bench.alerts["urls"] = '["env:ALERT_URL"]'
    done = await bench.run("sync")
    assert done.code == 2
    assert "alerts.urls[0]" in done.err
    assert SECRET not in done.out + done.err
