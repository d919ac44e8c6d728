"""Why a position is as it is: its facts, then every change in order with what it was decided on."""

from __future__ import annotations

from trueup.cli.screens.events import SEVERITY_STYLES, data_text
from trueup.cli.screens.positions import position_name, quote_of, result_parts
from trueup.cli.text import BLANK, Line, Style, clock_text, flow, line, moment, money, number, paragraph
from trueup.model.events import Severity
from trueup.model.positions import Origin, Position
from trueup.model.reports import ExplainedStep, Explanation, Replay

__all__ = ["explain_screen", "replay_screen"]


def explain_screen(explanation: Explanation, *, verbose: bool, now_ms: int, width: int | None) -> list[Line]:
    """`verbose` adds each step's data."""
    lines = _facts(explanation.position, now_ms, width)
    lines.append(BLANK)
    if not explanation.steps:
        return lines + paragraph("No change of it has been recorded yet.", width)
    for step in explanation.steps:
        lines += _step(step, verbose, now_ms, width)
    return lines


def _facts(position: Position, now_ms: int, width: int | None) -> list[Line]:
    head = line(
        (f"position {position.position_id}", Style.STRONG), "  ", (position_name(position), Style.STRONG),
        (f"  {position.account} · {position.venue}", Style.DIM),
    )  # fmt: skip
    origin = "adopted from the venue" if position.origin is Origin.ADOPTED else "written by the bot"
    quote = quote_of(position.symbol)
    rows = [
        [line(f"opened {moment(position.opened_at_ms, now_ms)}"), line(origin)],
        [line(f"{number(position.quantity)} contracts"), line(f"entry {money(position.entry_price, quote)}")],
        *_state(position, now_ms),
    ]
    return [head, *(row for parts in rows for row in flow(parts, width, indent=2))]


def _state(position: Position, now_ms: int) -> list[list[Line]]:
    close = position.close
    if close is None:
        marks = [line(("unverified", Style.WARN))] if position.unverified else []
        if position.suspected_since_ms is not None:
            since = clock_text(position.suspected_since_ms, now_ms)
            marks.append(line((f"suspected since {since}", Style.WARN)))
        return [[line("open"), *marks]]
    proof = "confirmed absence" if close.estimated else close.evidence.value
    ended = [
        line(f"closed {moment(close.closed_at_ms, now_ms)}"),
        line(close.exit_reason.value),
        line((f"proof: {proof}", Style.WARN if close.estimated else Style.PLAIN)),
    ]
    return [ended, [line(f"exit {money(close.exit_price, quote_of(position.symbol))}"), *result_parts(close)]]


def _step(step: ExplainedStep, verbose: bool, now_ms: int, width: int | None) -> list[Line]:
    style = SEVERITY_STYLES.get(Severity(step.severity), Style.PLAIN) if step.severity in set(Severity) else Style.PLAIN
    clock = clock_text(step.at_ms, now_ms)
    head = line((clock, Style.DIM), "  ", (step.type, Style.STRONG if style is Style.PLAIN else style))
    lines = [head, *paragraph(step.summary, width, first=line("  "), indent=2)]
    data = data_text(step.data) if verbose or width is None else ""
    return lines + (paragraph(data, width, first=line("  "), indent=2, style=Style.DIM) if data else [])


def replay_screen(replay: Replay, *, now_ms: int) -> list[Line]:
    """What deciding again found."""
    if not replay.decided:
        return [line("Nothing is recorded yet: decisions are kept from the first sync that changes the book.")]
    if not replay.differences:
        return [line((f"{replay.decided} recorded decisions, every one is made again.", Style.GOOD))]
    lines = [line((f"{len(replay.differences)} of {replay.decided} recorded decisions differ.", Style.WARN))]
    for found in replay.differences:
        about = f"position {found.position_id}" if found.position_id is not None else found.account
        lines.append(BLANK)
        lines.append(
            line((f"observation {found.observation_id}", Style.STRONG), f"  {about}  {moment(found.at_ms, now_ms)}")
        )
        lines += [line("  recorded  ", found.recorded), line("  now       ", found.now)]
    return lines
