"""The requests that a client may send on an open stream, and the venue's answers.

Source: the venue's page on live subscribing; its error texts are those of its JSON reader.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

_MAX_STREAMS = 1_024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Subscriber(Protocol):
    """What the requests act on."""

    combined: bool
    streams: dict[str, str | None]

    def subscribe(self, name: str) -> None: ...

    def unsubscribe(self, name: str) -> None: ...


def answer_method(session: Subscriber, text: str) -> dict[str, Any]:
    """Carries one request out and gives its answer."""
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
    if not isinstance(request, dict) or "method" not in request:
        return _invalid("missing field `method` at line 1 column " + str(len(text)))
    method, number, params = request["method"], request.get("id"), request.get("params", [])
    if method not in _METHODS:
        wanted = ", ".join(f"`{name}`" for name in _METHODS)
        return _invalid(f"unknown variant `{method}`, expected one of {wanted} at line 1 column {len(text)}")
    if not _is_request_id(number):
        return _invalid("request ID must be an unsigned integer")
    if not isinstance(params, list):
        return _invalid("expected a sequence")
    return _carried_out(session, method, params, number)


def _is_request_id(value: object) -> bool:
    """An unsigned integer; texts are taken as well, as the venue does today."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _invalid(text: str) -> dict[str, Any]:
    return {"code": 2, "msg": f"Invalid request: {text}"}


def _carried_out(session: Subscriber, method: str, params: list[Any], number: Any) -> dict[str, Any]:
    if method == "LIST_SUBSCRIPTIONS":
        return {"result": list(session.streams), "id": number}
    if method in ("SET_PROPERTY", "GET_PROPERTY"):
        return _property(session, method, params, number)
    if not all(isinstance(name, str) for name in params):
        return _invalid("stream names must be strings")
    if method == "SUBSCRIBE" and len(set(session.streams) | set(params)) > _MAX_STREAMS:
        return _invalid("too many streams")
    for name in params:
        if method == "SUBSCRIBE":
            session.subscribe(name)
        else:
            session.unsubscribe(name)
    return {"result": None, "id": number}


def _property(session: Subscriber, method: str, params: list[Any], number: Any) -> dict[str, Any]:
    if not params or not isinstance(params[0], str):
        return _invalid("property name must be a string")
    if params[0] != "combined":
        return {"code": 0, "msg": "Unknown property"}
    if method == "GET_PROPERTY":
        return {"result": session.combined, "id": number}
    if len(params) != 2 or not isinstance(params[1], bool):
        return {"code": 1, "msg": "Invalid value type: expected Boolean"}
    session.combined = params[1]
    return {"result": None, "id": number}
