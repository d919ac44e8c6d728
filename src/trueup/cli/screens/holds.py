"""Decisions that wait for a person: what, why, and how to decide."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.cli.text import BLANK, Line, Style, flow, line, moment, paragraph
from trueup.model.holds import Hold, HoldKind, HoldState

__all__ = ["HOLD_MEANING", "holds_screen"]

HOLD_MEANING = {
    HoldKind.MASS_CLOSE: "More is gone from the venue than absence alone may close, and no fill proves that it was closed.",
    HoldKind.INCONCLUSIVE: "The venue shows flat, but its history has opening fills that nothing closed.",
    HoldKind.ADOPTION: "The venue has a position that the book lacks.",
    HoldKind.IDENTITY: "The key answers for another venue account than the book's.",
}
_APPROVING = {
    HoldKind.MASS_CLOSE: "look again; close in the book what is still gone",
    HoldKind.INCONCLUSIVE: "look again; close it in the book if it is still flat",
    HoldKind.ADOPTION: "look again; take it into the book if it is still there",
    HoldKind.IDENTITY: "look again; accept the new venue account",
}


def holds_screen(holds: Sequence[Hold], *, now_ms: int, width: int | None) -> list[Line]:
    """Each hold with the two commands that decide it; a sentence where there is none."""
    if not holds:
        return paragraph("Nothing waits for you.", width, style=Style.GOOD)
    lines: list[Line] = []
    for hold in holds:
        lines += [BLANK] if lines else []
        lines += _hold_lines(hold, now_ms, width)
    return lines


def _hold_lines(hold: Hold, now_ms: int, width: int | None) -> list[Line]:
    waits = hold.state is HoldState.OPEN
    head = [
        line((f"hold {hold.hold_id}", Style.WARN if waits else Style.STRONG)),
        line(hold.kind.value),
        line(hold.account),
        line((f"raised {moment(hold.raised_at_ms, now_ms)}", Style.DIM)),
    ]
    lines = flow(head, width)
    lines += paragraph(HOLD_MEANING[hold.kind], width, first=line("  "), indent=2)
    if hold.summary:
        lines += paragraph(hold.summary, width, first=line("  "), indent=2)
    names = ", ".join(f"{symbol} {side.value}" for symbol, side in hold.keys)
    if names:
        lines += paragraph(names, width, first=line("  "), indent=2, style=Style.STRONG)
    if not waits:
        decided = f" {moment(hold.decided_at_ms, now_ms)}" if hold.decided_at_ms is not None else ""
        note = f": {hold.note}" if hold.note else ""
        return lines + paragraph(f"{hold.state.value}{decided}{note}", width, first=line("  "), indent=2)
    approve, reject = f"trueup approve {hold.hold_id}", f"trueup reject {hold.hold_id}"
    room = max(len(approve), len(reject))
    for text, meaning in (
        (approve, _APPROVING[hold.kind]),
        (reject, "leave it as it is; not asked again while the evidence is the same"),
    ):
        first = line("  ", (text, Style.STRONG), " " * (room - len(text)), "  ")
        lines += paragraph(meaning, width, first=first, indent=room + 4, style=Style.DIM)
    return lines
