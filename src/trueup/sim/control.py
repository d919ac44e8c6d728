"""A client of the control port: what a command line or a test in another process says to a served venue.

1. It speaks to loopback only.
2. What the venue cannot mean (a wrong name or value), what it refuses, and that it is not there, are three different errors.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from trueup.model.errors import ConfigurationError, Rejected, Transient

__all__ = ["DEFAULT_CONTROL_URL", "ask"]

DEFAULT_CONTROL_URL = "http://127.0.0.1:9002"
_TIMEOUT_S = 10
_BAD_REQUEST, _CONFLICT = 400, 409


async def ask(url: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """One request to the control port at `url`; its answer.

    Raises:
        ConfigurationError: The address is no loopback address or no control port, or what was said cannot be meant.
        Rejected: The simulated venue refuses it, as the real one would.
        Transient: Nothing answers there.
    """
    base = _loopback(url)
    try:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.request(method, base.join(URL(path)), json=body) as answer,
        ):
            status, text = answer.status, await answer.text()
    except (TimeoutError, aiohttp.ClientError) as error:
        raise Transient(
            f"{url}: no control port answers there ({type(error).__name__}); start one with trueup venue serve, or name "
            "the control address that it printed with --control"
        ) from error
    return _read(url, path, status, text)


def _loopback(url: str) -> URL:
    try:
        parsed = URL(url)
        host = parsed.host or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local or parsed.scheme != "http":
        raise ConfigurationError(
            f"--control is {url!r}; expected an address on this machine, such as {DEFAULT_CONTROL_URL}"
        )
    return parsed


def _read(url: str, path: str, status: int, text: str) -> Any:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    problem = answer.get("error") if isinstance(answer, dict) else None
    if status == _CONFLICT and isinstance(answer, dict):
        raise Rejected(path.strip("/"), str(answer.get("refusal", "")), str(problem))
    if status == _BAD_REQUEST and problem is not None:
        raise ConfigurationError(str(problem))
    if status >= _BAD_REQUEST or answer is None:
        raise ConfigurationError(
            f"{url} answers {path} with HTTP {status}: it is no control port; name the control address that trueup venue "
            "serve printed with --control"
        )
    return answer
