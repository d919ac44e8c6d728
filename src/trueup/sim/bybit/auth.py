"""Who signs a request, and whether the signature, its time and the key's rights hold.

1. The signature is over timestamp + key + receive window + the query or body exactly as it came.
2. Checked in this order: headers (HTTP 401), key (10003), time (10002), signature (10004), rights (10005).
3. No secret appears in an answer or an error; the text of 10004 shows what was signed, which holds none.
"""

from __future__ import annotations

import hmac

from trueup.sim.bybit.errors import ApiError
from trueup.sim.wire import WireRequest, signed_with
from trueup.sim.world import World
from trueup.sim.world.account import AccountSpec

DEFAULT_WINDOW_MS = 5_000
_AHEAD_MS = 1_000


def signature(secret: str, text: str) -> str:
    """The lower-case hex HMAC-SHA256 that Bybit expects."""
    return signed_with(secret, text)


def authenticate(world: World, request: WireRequest, now_ms: int) -> AccountSpec:
    """The account behind a signed request; raises as invariant 2 says."""
    headers = request.headers
    key = headers.get("x-bapi-api-key", "")
    sent, sign = headers.get("x-bapi-timestamp", ""), headers.get("x-bapi-sign", "")
    if not key or not sent or not sign:
        raise ApiError(401, "authentication headers are missing", status=401, body=b"")
    account = world.account_by_key(key, "bybit")
    if account is None:
        raise ApiError(10003, "API key is invalid.")
    width = headers.get("x-bapi-recv-window", "")
    _check_time(sent, width, now_ms)
    payload = request.body.decode("utf-8", "replace") if request.method == "POST" else request.query
    signed = f"{sent}{key}{width}{payload}"
    if not hmac.compare_digest(signature(account.api_secret, signed), sign.lower()):
        raise ApiError(10004, f"error sign! origin_string[{signed}]")
    return account


def _check_time(sent: str, width: str, now_ms: int) -> None:
    """server time − window ≤ timestamp < server time + 1 s."""
    window_ms = int(width) if width.isdigit() else DEFAULT_WINDOW_MS
    stamp = int(sent) if sent.isdigit() else 0
    if not now_ms - window_ms <= stamp < now_ms + _AHEAD_MS:
        raise ApiError(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{sent}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def check_stream_signature(account: AccountSpec, expires: str, sign: str, now_ms: int) -> bool:
    """Whether a stream's auth arguments hold: HMAC of `GET/realtime` + expires, not yet expired."""
    if not expires.isdigit() or int(expires) <= now_ms:
        return False
    return hmac.compare_digest(signature(account.api_secret, f"GET/realtime{expires}"), sign.lower())
