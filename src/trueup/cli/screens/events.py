"""The audit log, for people: a line an event, its data under it (behind it where no terminal reads)."""

from __future__ import annotations

import json

from trueup.cli.render_json import plain
from trueup.cli.text import Line, Style, clock_text, line, paragraph
from trueup.model.events import Event, Severity
from trueup.model.times import time_text

__all__ = ["SEVERITY_STYLES", "data_text", "event_lines"]

SEVERITY_STYLES = {
    Severity.INFO: Style.PLAIN,
    Severity.WARNING: Style.WARN,
    Severity.ERROR: Style.BAD,
    Severity.CRITICAL: Style.BAD,
}


def event_lines(event: Event, *, now_ms: int, width: int | None) -> list[Line]:
    """One event. Without a terminal it is one line with the exact time, easy to search."""
    position = f"position {event.position_id}" if event.position_id is not None else None
    where = " · ".join(part for part in (event.account, event.symbol, position) if part)
    data = data_text(event.data, without={"symbol", "position_id", "account"})
    style = SEVERITY_STYLES[event.severity]
    if width is None:
        parts = [str(event.event_id), time_text(event.at_ms), event.severity.value, str(event.type), where, data]
        return [line("  ".join(part for part in parts if part))]
    head = line(
        (f"{event.event_id:>5}  ", Style.DIM),
        (clock_text(event.at_ms, now_ms), Style.DIM),
        "  ",
        (f"{event.severity.value:<8}", style),
        "  ",
        (str(event.type), style if style is not Style.PLAIN else Style.STRONG),
    )
    rest = " · ".join(part for part in (where, data) if part)
    return [head, *paragraph(rest, width, first=line(" " * 7), indent=7, style=Style.DIM)] if rest else [head]


def data_text(data: dict[str, object], without: set[str] | frozenset[str] = frozenset()) -> str:
    """``reason=not_on_exchange price=64000.10``; times as times, nested values as compact JSON, unknown ones left out."""
    parts = []
    for key, value in data.items():
        if value is None or key in without:
            continue
        if key.endswith("_at_ms") and isinstance(value, int):
            parts.append(f"{key.removesuffix('_ms')}={time_text(value)}")
            continue
        shown = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False).strip('"')
        parts.append(f"{key}={shown}")
    return " ".join(parts)
