"""The Binance USDⓈ-M wire: REST requests in, answers out; world events in, stream messages out.

1. Order of checks, as the venue's: address banned, endpoint, weight, key, time, signature, order count, parameters,
   then the order itself. What was refused changed nothing but the counters.
2. Reading endpoints look at the world through views, so a stale or lagging view needs no help from here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trueup.sim.binance.call import Call
from trueup.sim.binance.errors import NOT_FOUND, ApiError, refused
from trueup.sim.binance.limits import LimitPolicy, Limits
from trueup.sim.binance.params import Params
from trueup.sim.binance.routes import BY_ENDPOINT, Route
from trueup.sim.binance.security import Security, authorize, owner_of
from trueup.sim.binance.streams import BinanceSession, StreamHub
from trueup.sim.wire import WireRequest, WireResponse
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.types import Venue
from trueup.sim.world.world import World

_JSON = "application/json;charset=UTF-8"
_OK = 200
_encode = msgspec.json.Encoder().encode


class BinanceWire:
    """The venue's protocol over a world."""

    def __init__(self, world: World, policy: LimitPolicy | None = None) -> None:
        self.world = world
        self.limits = Limits(policy if policy is not None else LimitPolicy())
        self.hub = StreamHub(world)

    @property
    def venue(self) -> Venue:
        return "binance"

    def account_of(self, request: WireRequest) -> str | None:
        owner = owner_of(self.world, request)
        return None if owner is None else owner.name

    def open_stream(self, path: str, query: str) -> BinanceSession:
        return self.hub.open(path, query)

    def handle(self, request: WireRequest) -> WireResponse:
        now_ms = self.world.now_ms()
        headers = {"Content-Type": _JSON}
        try:
            status, answer = _OK, self._answer(request, now_ms, headers)
        except ApiError as error:
            status, answer = error.status, {"code": error.code, "msg": error.text}
            if error.retry_after_s is not None:
                headers["Retry-After"] = str(error.retry_after_s)
        headers["X-MBX-USED-WEIGHT-1M"] = str(self.limits.used_weight(request.client_ip, now_ms))
        return WireResponse(status, _encode(answer), headers)

    def _answer(self, request: WireRequest, now_ms: int, headers: dict[str, str]) -> Any:
        route = BY_ENDPOINT.get((request.method, request.path))
        if route is None:
            self.limits.spend(request.client_ip, 1, now_ms)
            text = f"Path {request.path}, Method {request.method} is invalid"
            raise ApiError(-5000, text, NOT_FOUND)
        params = _params(request)
        weight = route.weight if isinstance(params, ApiError) else route.weigh(params)
        self.limits.spend(request.client_ip, weight, now_ms)
        if isinstance(params, ApiError):
            raise params
        return self._called(request, route, params, headers)

    def _called(self, request: WireRequest, route: Route, params: Params, headers: dict[str, str]) -> Any:
        account = None
        if route.security is not Security.NONE:
            account = authorize(self.world, request, params, route.security)
        if route.orders and account is not None:
            self._count_orders(account.name, route.orders, headers)
        call = Call(self.world, params, self.limits, self.hub.listen_keys, account)
        try:
            return route.handler(call)
        except Refusal as refusal:
            raise refused(refusal) from refusal

    def _count_orders(self, account: str, amount: int, headers: dict[str, str]) -> None:
        now_ms = self.world.now_ms()
        try:
            self.limits.count_order(account, amount, now_ms)
        finally:
            ten_seconds, minute = self.limits.order_counts(account, now_ms)
            headers["X-MBX-ORDER-COUNT-10S"] = str(ten_seconds)
            headers["X-MBX-ORDER-COUNT-1M"] = str(minute)


def _params(request: WireRequest) -> Params | ApiError:
    """The parameters, or why they cannot be read; the request weighs something either way."""
    try:
        return Params(request.query, request.body.decode("utf-8", "replace"))
    except ApiError as error:
        return error
