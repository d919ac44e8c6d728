"""Bybit V5 over the world: one object that answers requests and opens streams.

1. An answer that reached the trading service is HTTP 200 with retCode, retMsg, result, retExtInfo and time; the
   exceptions are 401 (no authentication), 403 (address limit) and 404 (no such path).
2. Nothing that a client sends raises; what raises is a defect.
3. An action is on the present, whatever earlier instant readers are shown.
"""

from __future__ import annotations

import msgspec

from trueup.sim.bybit.auth import authenticate
from trueup.sim.bybit.call import Call, Extended, Result
from trueup.sim.bybit.errors import ApiError
from trueup.sim.bybit.limits import LimitPolicy, RateLimits
from trueup.sim.bybit.memory import Memory
from trueup.sim.bybit.params import Params
from trueup.sim.bybit.routes import ROUTES, Route
from trueup.sim.bybit.streams import Streams
from trueup.sim.wire import StreamSession, WireRequest, WireResponse
from trueup.sim.world import World
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.types import Venue

_encode = msgspec.json.Encoder().encode
_JSON = "application/json; charset=utf-8"


class BybitWire:
    """The venue's protocol over one world."""

    def __init__(self, world: World, limits: LimitPolicy | None = None) -> None:
        self._world = world
        self._memory = Memory()
        self._limits = RateLimits(LimitPolicy() if limits is None else limits)
        self._streams = Streams(world, self._memory)
        world.subscribe(self._memory.happened)

    @property
    def venue(self) -> Venue:
        return "bybit"

    def handle(self, request: WireRequest) -> WireResponse:
        """Answers one request, changing the world as the venue would."""
        now_ms = self._world.now_ms()
        headers: dict[str, str] = {"Content-Type": _JSON, "Timenow": str(now_ms)}
        try:
            answer = self._answer(request, now_ms, headers)
        except ApiError as error:
            return _refusal(error, headers, now_ms)
        if not isinstance(answer, Extended):
            answer = Extended(answer, {})
        return WireResponse(200, _envelope(0, "OK", answer, now_ms), headers)

    def _answer(self, request: WireRequest, now_ms: int, headers: dict[str, str]) -> Result | Extended:
        self._limits.admit_address(request.client_ip, now_ms)
        route = ROUTES.get((request.method, request.path))
        if route is None:
            raise ApiError(10017, "Route not found.", status=404)
        account = self._admit(route, request, now_ms, headers) if route.private else None
        params = Params.of_body(request.body) if request.method == "POST" else Params.of_query(request.query)
        call = Call(self._world, self._memory, params, account, now_ms)
        if not route.writes:
            return route.handler(call)
        with self._world.reading_at(None):
            return route.handler(call)

    def _admit(self, route: Route, request: WireRequest, now_ms: int, headers: dict[str, str]) -> AccountSpec:
        """Who asks, when it may ask and may ask again so soon."""
        account = authenticate(self._world, request, now_ms)
        if route.writes and not account.can_trade:
            raise ApiError(10005, "Permission denied, please check your API key permissions.")
        allowance, admitted = self._limits.admit(account.uid, request.path, route.limit, now_ms)
        headers.update(allowance.headers())
        if not admitted:
            raise ApiError(10006, "Too many visits. Exceeded the API Rate Limit.")
        return account

    def open_stream(self, path: str, query: str) -> StreamSession:
        """Opens a private or public session; raises StreamRefused."""
        return self._streams.open(path, query)

    def account_of(self, request: WireRequest) -> str | None:
        """Name of the account whose key the request bears."""
        account = self._world.account_by_key(request.headers.get("x-bapi-api-key", ""), "bybit")
        return account.name if account is not None else None


def _envelope(code: int, text: str, answer: Extended, now_ms: int) -> bytes:
    envelope = {"retCode": code, "retMsg": text, "result": answer.result}
    return _encode({**envelope, "retExtInfo": answer.extension, "time": now_ms})


def _refusal(error: ApiError, headers: dict[str, str], now_ms: int) -> WireResponse:
    if error.body is not None:
        return WireResponse(error.status, error.body, {**headers, "Content-Type": "text/plain"})
    return WireResponse(error.status, _envelope(error.code, error.text, Extended(error.result, {}), now_ms), headers)


def build_wire(world: World, limits: LimitPolicy | None = None) -> BybitWire:
    """The Bybit V5 wire over a world; `limits` None: the venue's own."""
    return BybitWire(world, limits)
