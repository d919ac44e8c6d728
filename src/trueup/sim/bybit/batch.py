"""Batches of orders: each is taken or refused on its own.

1. The answer's two lists have one row per order, in the order of the request: what became of it, and why.
2. A batch that cannot be read at all is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trueup.sim.bybit.call import Call, Extended, Handler
from trueup.sim.bybit.errors import ApiError, bad_parameter
from trueup.sim.bybit.orders import amend, cancel, create
from trueup.sim.bybit.params import Params

_MAX_ORDERS = 20


def create_batch(call: Call) -> Extended:
    """POST /v5/order/create-batch."""
    return _each(call, create, {"createAt": str(call.now_ms)})


def amend_batch(call: Call) -> Extended:
    """POST /v5/order/amend-batch."""
    return _each(call, amend, {})


def cancel_batch(call: Call) -> Extended:
    """POST /v5/order/cancel-batch."""
    return _each(call, cancel, {})


def _each(call: Call, handler: Handler, extra: Mapping[str, str]) -> Extended:
    category = call.trading_category()
    requests = call.params.objects("request")
    if not 1 <= len(requests) <= _MAX_ORDERS:
        raise bad_parameter("The number of orders in a batch must be within 1 and 20")
    rows: list[dict[str, object]] = []
    outcomes: list[dict[str, object]] = []
    for request in requests:
        row: dict[str, object] = {"category": category, "symbol": str(request.get("symbol", ""))}
        try:
            answer = handler(replace(call, params=Params({**request, "category": category})))
        except ApiError as error:
            rows.append({**row, "orderId": "", "orderLinkId": "", **dict.fromkeys(extra, "")})
            outcomes.append({"code": error.code, "msg": error.text})
            continue
        rows.append({**row, **(answer if not isinstance(answer, Extended) else answer.result), **extra})
        outcomes.append({"code": 0, "msg": "OK"})
    return Extended({"list": rows}, {"list": outcomes})
