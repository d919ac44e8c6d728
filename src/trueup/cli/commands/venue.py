"""The simulated venue: serving it, and directing one that runs from another terminal.

1. The directing commands speak to the control port and know nothing of what they carry: names and values are checked
   there, and its text is what the person reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup.cli.call import Call
from trueup.cli.registry import command

if TYPE_CHECKING:
    from trueup.cli.text import Line

__all__ = ["clear", "do", "fault", "faults", "serve"]

_CONTROL = Annotated[
    str,
    typer.Option("--control", help="Control address that venue serve printed.", metavar="URL"),
]
_DEFAULT_CONTROL = "http://127.0.0.1:9002"
_EXITS = (
    "0  done",
    "1  nothing answers there, or the simulated venue refuses it",
    "2  a wrong name, value or address",
)


@command(
    "venue",
    "serve",
    short="Run the simulated venue, for any bot.",
    example=("trueup venue serve --port 9001", "trueup venue serve --scenario examples/scenarios/flash-crash.toml"),
    exits=("0  stopped by Ctrl-C or SIGTERM", "1  it could not listen", "2  usage error, or a wrong scenario"),
    settings=False,
    daemon=True,
)
async def serve(
    call: Call,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.", metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.", metavar="PORT")] = 9001,
    control_port: Annotated[
        int | None,
        typer.Option("--control-port", min=0, max=65535, help="Default: the one after --port.", metavar="PORT"),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="Prices, actions and faults to play.", metavar="FILE")
    ] = None,
    positions: Annotated[
        int, typer.Option("--positions", help="Open at the start, on the demo accounts: 0 or 2.", metavar="0|2")
    ] = 2,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of ids and prices; default: the scenario's, or 0.", metavar="N")
    ] = None,
    clock_offset_ms: Annotated[
        int, typer.Option("--clock-offset-ms", help="Of the venue's clock; less than 0: behind.", metavar="MS")
    ] = 0,
    no_view: Annotated[bool, typer.Option("--no-view", help="Plain lines on a terminal, too.")] = False,
) -> int:
    """
    Runs the simulated venue alone: a futures exchange on this machine that speaks the wire of Binance USDⓈ-M and of
    Bybit v5, for any bot to test against. No key is needed, no money is at risk. A terminal shows its world while it
    runs: accounts, positions, stops, prices, requests, faults. Direct it with venue do and venue fault.
    """
    if positions not in (0, 2):
        raise typer.BadParameter(f"--positions is {positions}; expected 0 or 2")
    from trueup.cli.services import VenueOptions

    options = VenueOptions(
        host=host,
        port=port,
        control_port=control_port,
        positions=positions,
        seed=seed,
        clock_offset_ms=clock_offset_ms,
        scenario=scenario,
        view=not no_view,
    )
    async with call.open_without_settings() as services:
        await services.venue_serve(options, call.out.text)
    return 0


@command(
    "venue",
    "fault",
    short="Let the simulated venue misbehave.",
    example=(
        "trueup venue fault http_error --path '/fapi/*/positionRisk' --count 3",
        "trueup venue fault answer_lost --path /v5/order/create --count 1",
        "trueup venue fault stale --account demo-bybit --lag-ms 5000 --for 60",
    ),
    exits=_EXITS,
    settings=False,
    json=True,
)
async def fault(
    call: Call,
    kind: Annotated[str, typer.Argument(help="What goes wrong; one of the kinds above.", metavar="KIND")],
    venue: Annotated[str | None, typer.Option("--venue", help="binance or bybit.", metavar="VENUE")] = None,
    path: Annotated[str | None, typer.Option("--path", help="Shell pattern, e.g. '/v5/*'.", metavar="PATTERN")] = None,
    method: Annotated[str | None, typer.Option("--method", help="GET, POST, …", metavar="METHOD")] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", help="A parameter and its pattern.", metavar="NAME=PATTERN")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Of this account only.", metavar="NAME")] = None,
    client_ip: Annotated[str | None, typer.Option("--client-ip", help="From this address.", metavar="IP")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Stream messages that match it.", metavar="REGEX")] = None,
    skip: Annotated[str | None, typer.Option("--skip", help="Let that many pass first.", metavar="N")] = None,
    count: Annotated[str | None, typer.Option("--count", help="Strike that often, then end.", metavar="N")] = None,
    probability: Annotated[
        str | None, typer.Option("--probability", help="Of what matches, 0 to 1.", metavar="P")
    ] = None,
    start_s: Annotated[float, typer.Option("--in", help="Begin that much later.", metavar="SECONDS")] = 0,
    for_s: Annotated[float, typer.Option("--for", help="End that long after.", metavar="SECONDS")] = 0,
    status: Annotated[str | None, typer.Option("--status", help="HTTP status to send.", metavar="CODE")] = None,
    body: Annotated[str | None, typer.Option("--body", help="Body to send.", metavar="TEXT")] = None,
    retry_after_s: Annotated[
        str | None, typer.Option("--retry-after-s", help="Of rate_limit and banned.", metavar="SECONDS")
    ] = None,
    delay_ms: Annotated[
        str | None, typer.Option("--delay-ms", help="Of slow, stream_delay, stream_reorder.", metavar="MS")
    ] = None,
    lag_ms: Annotated[str | None, typer.Option("--lag-ms", help="Of stale: how old.", metavar="MS")] = None,
    offset_ms: Annotated[str | None, typer.Option("--offset-ms", help="Of clock_skew.", metavar="MS")] = None,
    when: Annotated[str | None, typer.Option("--when", help="Of slow: before, after or drip.", metavar="WHEN")] = None,
    then: Annotated[
        str | None, typer.Option("--then", help="Of answer_lost: disconnect, hang or error.", metavar="THEN")
    ] = None,
    field: Annotated[str | None, typer.Option("--field", help="Of drop_field and set_field.", metavar="NAME")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Of set_field.", metavar="TEXT")] = None,
    control: _CONTROL = _DEFAULT_CONTROL,
) -> int:
    """
    Adds a fault to a venue that trueup venue serve runs: what goes wrong, where, for whom, how often and when. Without a
    scope it strikes everything, until venue clear takes it away.

    Requests: http_error, rate_limit, banned, maintenance, html, truncated, empty, drop_field, set_field, slow, hang,
    disconnect, answer_lost, stale. Streams: stream_drop, stream_duplicate, stream_delay, stream_reorder,
    stream_silent, stream_disconnect, stream_refused. At once: listen_keys_expired, clock_skew.
    """
    given = {
        "kind": kind,
        "venue": venue,
        "path": path,
        "method": method,
        "query": _pairs(query or (), "--query"),
        "account": account,
        "client_ip": client_ip,
        "text": text,
        "skip": skip,
        "count": count,
        "probability": probability,
        "in_ms": round(start_s * 1_000),
        "for_ms": round(for_s * 1_000),
        "status": status,
        "body": body,
        "retry_after_s": retry_after_s,
        "delay_ms": delay_ms,
        "lag_ms": lag_ms,
        "offset_ms": offset_ms,
        "when": when,
        "then": then,
        "field": field,
        "value": value,
    }
    said = {name: item for name, item in given.items() if item not in (None, {}, 0)}
    answer = await _ask(call, control, "POST", "/faults", said)
    if call.options.json:
        call.out.json(answer)
    else:
        number = answer["fault_id"]
        call.out.text(
            f"fault {number} is on: {kind}; trueup venue faults shows it, trueup venue clear {number} ends it"
        )
    return 0


@command(
    "venue",
    "faults",
    short="List the faults of the simulated venue.",
    example=("trueup venue faults",),
    exits=_EXITS,
    settings=False,
    json=True,
)
async def faults(call: Call, control: _CONTROL = _DEFAULT_CONTROL) -> int:
    """
    Lists the faults of a venue that trueup venue serve runs, those that are spent included: what goes wrong, in which
    scope, how often it struck.
    """
    answer = await _ask(call, control, "GET", "/faults", None)
    if call.options.json:
        call.out.json(answer)
    elif not answer:
        call.out.text("no faults; add one with: trueup venue fault")
    else:
        call.out.lines(_fault_table(answer, call.out.width))
    return 0


@command(
    "venue",
    "clear",
    short="End faults of the simulated venue.",
    example=("trueup venue clear", "trueup venue clear 3"),
    exits=_EXITS,
    settings=False,
    json=True,
)
async def clear(
    call: Call,
    fault_id: Annotated[int | None, typer.Argument(help="Number of one fault.", min=1, metavar="[FAULT_ID]")] = None,
    control: _CONTROL = _DEFAULT_CONTROL,
) -> int:
    """
    Takes every fault of a venue that trueup venue serve runs away, or the one with that number. What a fault did stays
    done: a lost answer does not come, and a clock that was set forward stands still until the time has caught up.
    """
    answer = await _ask(call, control, "DELETE", "/faults" if fault_id is None else f"/faults/{fault_id}", None)
    if fault_id is not None and not answer["removed"]:
        from trueup.model.errors import ConfigurationError

        raise ConfigurationError(f"there is no fault {fault_id}; list them with: trueup venue faults")
    if call.options.json:
        call.out.json(answer)
    else:
        call.out.text("no fault is left" if fault_id is None else f"fault {fault_id} is taken away")
    return 0


@command(
    "venue",
    "do",
    short="Act in the simulated venue's world.",
    example=(
        "trueup venue do",
        "trueup venue do price symbol=BTCUSDT last=58000",
        "trueup venue do close account=demo-binance symbol=BTCUSDT",
        "trueup venue do account name=carol venue=bybit balances.USDT=5000",
    ),
    exits=_EXITS,
    settings=False,
    json=True,
)
async def do(
    call: Call,
    action: Annotated[str | None, typer.Argument(help="What to do; left out: lists them.", metavar="[ACTION]")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What it takes.", metavar="[NAME=VALUE]...")] = None,
    control: _CONTROL = _DEFAULT_CONTROL,
) -> int:
    """
    Acts in the world of a venue that trueup venue serve runs: moves prices, opens and closes positions by another hand,
    places and triggers orders, liquidates, pays funding, opens accounts. Without an action it lists what there is to do.
    """
    if action is None:
        answer = await _ask(call, control, "GET", "/actions", None)
    else:
        answer = await _ask(call, control, "POST", f"/{action}", _pairs(arguments or (), action))
    if call.options.json:
        call.out.json(answer)
    else:
        call.out.lines(_answer_lines(answer))
    return 0


async def _ask(call: Call, control: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
    async with call.open_without_settings() as services:
        return await services.venue_control(control, method, path, body)


def _pairs(texts: Sequence[str], where: str) -> dict[str, Any]:
    """`name=value` texts as a table, `table.name=value` as a table within it."""
    found: dict[str, Any] = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        if not is_pair or not name:
            raise typer.BadParameter(f"{where}: {text!r} is no NAME=VALUE")
        table, dot, inner = name.partition(".")
        if dot and isinstance(found.setdefault(table, {}), dict):
            found[table][inner] = value
        else:
            found[name] = value
    return found


def _answer_lines(answer: Any) -> list[Line]:
    """One line a value, aligned; what has values within is written as JSON."""
    from trueup.cli.text import Style, line

    if isinstance(answer, list):
        return [line(_shown(row)) for row in answer] or [line(("nothing", Style.DIM))]
    room = max((len(name) for name in answer), default=0)
    return [line((name.ljust(room), Style.DIM), f"  {_shown(value)}") for name, value in answer.items()]


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fault_table(planned: Sequence[Mapping[str, Any]], width: int | None) -> list[Line]:
    from trueup.cli.table import Column, table

    rows = [(str(each["fault_id"]), each["fault"], each["hits"]) for each in planned]
    return table(
        [
            Column("FAULT", [number for number, _, _ in rows], right=True),
            Column("KIND", [found["kind"] for _, found, _ in rows]),
            Column("HITS", [_hits(hits, found["count"]) for _, found, hits in rows]),
            Column("SCOPE", [_scope(found) for _, found, _ in rows], drop=1),
        ],
        width,
    )


def _hits(hits: int, count: int | None) -> str:
    return str(hits) if count is None else f"{hits} of {count}"


_SCOPE = ("venue", "method", "path", "account", "client_ip", "text", "skip", "probability")


def _scope(found: Mapping[str, Any]) -> str:
    parts = [f"{name} {found[name]}" for name in _SCOPE if found.get(name)]
    parts += [f"{name}={pattern}" for name, pattern in (found.get("query") or {}).items()]
    return ", ".join(parts) or "everything"
