"""Who asks: API keys, signatures and timestamps.

1. The signature is the HMAC-SHA256 of the exact query followed by the exact body, without the signature itself.
2. A request is young when it is at most `recvWindow` old and at most a second from the future.
3. Nothing of the secret leaves this module.
"""

from __future__ import annotations

import hmac
from enum import StrEnum

from trueup.sim.binance.errors import UNAUTHORIZED, ApiError, bad_api_key, missing
from trueup.sim.binance.params import Params
from trueup.sim.wire import WireRequest, signed_with
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.world import World

_DEFAULT_WINDOW_MS = 5_000
_MAX_WINDOW_MS = 60_000
_AHEAD_MS = 1_000


class Security(StrEnum):
    """What an endpoint asks of its caller."""

    NONE = "none"
    KEY = "key"
    """USER_STREAM, MARKET_DATA: the key alone."""
    SIGNED = "signed"
    """USER_DATA."""
    TRADE = "trade"
    """Signed, and the key may trade."""


def api_key_of(request: WireRequest) -> str | None:
    return request.headers.get("x-mbx-apikey") or None


def owner_of(world: World, request: WireRequest) -> AccountSpec | None:
    """Whose key the request bears, nothing else checked."""
    key = api_key_of(request)
    return None if key is None else world.account_by_key(key, "binance")


def authorize(world: World, request: WireRequest, params: Params, security: Security) -> AccountSpec:
    """The account that asks; raises what the venue answers to a wrong key, time or signature.

    A portfolio-margin account is refused like a key without permission: its business is on another host.
    """
    if api_key_of(request) is None:
        raise ApiError(-2014, "API-key format invalid.", UNAUTHORIZED)
    owner = owner_of(world, request)
    if owner is None:
        raise bad_api_key(request.client_ip)
    if security is not Security.KEY:
        _check_time(params, world.now_ms())
        _check_signature(request, params, owner)
    if owner.portfolio_margin and request.path.startswith("/fapi/"):
        raise bad_api_key(request.client_ip)
    if security is Security.TRADE and not owner.can_trade:
        raise bad_api_key(request.client_ip)
    return owner


def _check_time(params: Params, now_ms: int) -> None:
    sent_ms = params.required_integer("timestamp")
    window_ms = params.integer("recvWindow")
    if window_ms is not None and window_ms > _MAX_WINDOW_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000")
    if sent_ms >= now_ms + _AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - sent_ms > (_DEFAULT_WINDOW_MS if window_ms is None else window_ms):
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _check_signature(request: WireRequest, params: Params, owner: AccountSpec) -> None:
    given = params.text("signature")
    if given is None:
        raise missing("signature")
    payload = _unsigned(request.query) + _unsigned(request.body.decode("utf-8", "replace"))
    wanted = signed_with(owner.api_secret, payload)
    if not hmac.compare_digest(wanted.encode(), given.lower().encode()):
        raise ApiError(-1022, "Signature for this request is not valid.")


def _unsigned(encoded: str) -> str:
    """The text without its `signature` parameter."""
    if "signature=" not in encoded:
        return encoded
    return "&".join(part for part in encoded.split("&") if not part.startswith("signature="))
