"""Why a position is as it is: its facts, then every change in order with what it was decided on."""

from __future__ import annotations

from trueup.cli.screens.events import SEVERITY_STYLES, data_text
from trueup.cli.screens.positions import amounts_text, position_name, quote_of
from trueup.cli.text import BLANK, Line, Style, clock_text, join, line, moment, money, number, paragraph, signed
from trueup.model.events import Severity
from trueup.model.positions import Origin, Position
from trueup.model.reports import ExplainedStep, Explanation

__all__ = ["explain_screen"]


def explain_screen(explanation: Explanation, *, verbose: bool, now_ms: int, width: int | None) -> list[Line]:
    """`verbose` adds each step's data."""
    lines = _facts(explanation.position, now_ms)
    lines.append(BLANK)
    if not explanation.steps:
        return lines + paragraph("No change of it has been recorded yet.", width)
    for step in explanation.steps:
        lines += _step(step, verbose, now_ms, width)
    return lines


def _facts(position: Position, now_ms: int) -> list[Line]:
    head = line(
        (f"position {position.position_id}", Style.STRONG), "  ", (position_name(position), Style.STRONG),
        (f"  {position.account} · {position.venue}", Style.DIM),
    )  # fmt: skip
    origin = "adopted from the venue" if position.origin is Origin.ADOPTED else "written by the bot"
    quote = quote_of(position.symbol)
    opened = join([line(f"opened {moment(position.opened_at_ms, now_ms)}"), line(origin)])
    entry = line(f"{number(position.quantity)} contracts, entry {money(position.entry_price, quote)}")
    lines = [head, line("  ") + opened, line("  ") + entry]
    close = position.close
    if close is None:
        marks = [text for text, on in (("unverified", position.unverified),) if on]
        if position.suspected_since_ms is not None:
            marks.append(f"suspected since {clock_text(position.suspected_since_ms, now_ms)}")
        state = line("open", (f" · {' · '.join(marks)}" if marks else "", Style.WARN))
        return [*lines, line("  ") + state]
    proof = "confirmed absence" if close.estimated else close.evidence.value
    ended = [
        line(f"closed {moment(close.closed_at_ms, now_ms)}"),
        line(close.exit_reason.value),
        line((f"proof: {proof}", Style.WARN if close.estimated else Style.PLAIN)),
    ]
    result = [
        line(f"exit {money(close.exit_price, quote)}"),
        line("PnL ", signed(close.realized_pnl, close.settle_asset), (" gross", Style.DIM)),
        line("fees ", amounts_text((fee.asset, fee.amount) for fee in close.fees)),
    ]
    if close.funding is not None:
        result.append(line("funding ", signed(close.funding, close.settle_asset)))
    result.append(line("net ", signed(close.net_pnl, close.settle_asset)))
    return [*lines, line("  ") + join(ended), line("  ") + join(result)]


def _step(step: ExplainedStep, verbose: bool, now_ms: int, width: int | None) -> list[Line]:
    style = SEVERITY_STYLES.get(Severity(step.severity), Style.PLAIN) if step.severity in set(Severity) else Style.PLAIN
    clock = clock_text(step.at_ms, now_ms)
    head = line((clock, Style.DIM), "  ", (step.type, Style.STRONG if style is Style.PLAIN else style))
    lines = [head, *paragraph(step.summary, width, first=line("  "), indent=2)]
    data = data_text(step.data) if verbose or width is None else ""
    return lines + (paragraph(data, width, first=line("  "), indent=2, style=Style.DIM) if data else [])
