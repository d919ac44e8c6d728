"""The daemon's HTTP server towards strangers: the numbered promises of `trueup.listener`."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from trueup.listener import MOST, Answer, listening
from trueup.model.errors import ConfigurationError


async def fine() -> Answer:
    return 200, b"{}"


async def broken() -> Answer:
    raise LookupError("oops")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def sent(url: str, head: str) -> str:
    """What is answered to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    writer.write(head.encode())
    found = await asyncio.wait_for(reader.read(4096), 10)
    writer.close()
    return found.decode()


def asking(host: str) -> str:
    return f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("localhost", 200),
        ("LocalHost.:9464", 200),
        ("[::1]:9464", 200),
        ("evil.example", 421),
        ("evil.example:9464", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:9464", 421),
        ("192.168.0.7", 421),
    ],
)
async def test_3_on_this_machine_only_its_own_names_are_answered(host: str, status: int) -> None:
    async with listening("127.0.0.1", 0, metrics=fine, health=fine) as url:
        assert (await sent(url, asking(host))).startswith(f"HTTP/1.1 {status} ")


async def test_3_who_listens_for_other_machines_is_called_by_any_name() -> None:
    async with listening("0.0.0.0", 0, metrics=fine, health=fine) as url:
        assert (await sent(url, asking("trueup.internal:9464"))).startswith("HTTP/1.1 200 ")


async def test_4_those_who_connect_and_say_nothing_give_way() -> None:
    async with listening("127.0.0.1", 0, metrics=fine, health=fine) as url:
        silent = [await asyncio.open_connection("127.0.0.1", port_of(url)) for _ in range(MOST + 10)]

        assert (await sent(url, asking("localhost"))).startswith("HTTP/1.1 200 ")
        assert await asyncio.wait_for(silent[0][0].read(), 10) == b""

        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize(
    "head",
    [
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nX: " + "a" * 9_000 + "\r\n\r\n",
        "\x16\x03\x01\x02 what a browser says that wants https\r\n\r\n",
    ],
    ids=["no host", "long", "tls"],
)
async def test_4_what_is_no_http_is_refused_without_a_traceback(head: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening("127.0.0.1", 0, metrics=fine, health=fine) as url:
        assert " 400 " in await sent(url, head)

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_error_of_our_own_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with listening("127.0.0.1", 0, metrics=fine, health=broken) as url:
        assert " 500 " in await sent(url, asking("localhost"))

    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.exc_info is not None
    assert isinstance(told.exc_info[1], LookupError)


async def test_2_a_taken_address_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ConfigurationError) as refused:
            async with listening("127.0.0.1", taken.getsockname()[1], metrics=fine, health=fine):
                pass

    assert f'http.listen = "{address}": cannot listen there: Address already in use; ' in str(refused.value)
