"""The doctor's findings: what was checked, what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.cli.text import BLANK, Line, Style, line, paragraph, plural
from trueup.model.reports import Check

__all__ = ["doctor_exit_code", "doctor_screen"]

_BESIDE = 45
_STYLES = {"ok": Style.GOOD, "warning": Style.WARN, "error": Style.BAD}


def doctor_exit_code(checks: Sequence[Check]) -> int:
    """0 fine, 3 warnings, 2 errors."""
    levels = {check.level for check in checks}
    return 2 if "error" in levels else 3 if "warning" in levels else 0


def doctor_screen(checks: Sequence[Check], *, width: int | None) -> list[Line]:
    """Grouped by scope, in the order in which they were checked."""
    lines: list[Line] = []
    room = max((len(check.name) for check in checks), default=0)
    for scope in dict.fromkeys(check.scope for check in checks):
        lines += [BLANK] if lines else []
        lines.append(line((scope, Style.STRONG)))
        for check in checks:
            if check.scope == scope:
                lines += _check_lines(check, room, width)
    return [*lines, BLANK, _verdict(checks)]


def _check_lines(check: Check, room: int, width: int | None) -> list[Line]:
    style = _STYLES.get(check.level, Style.BAD)
    first = line("  ", (f"{check.level:<7}", style), "  ", check.name.ljust(room), "  ")
    if width is None or width - room > _BESIDE:
        indent = 13 + room
        lines = paragraph(check.detail, width, first=first, indent=indent)
    else:  # too narrow for both side by side
        indent = 11
        lines = [first, *paragraph(check.detail, width, first=line(" " * indent), indent=indent)]
    if check.mend:
        lines += paragraph(check.mend, width, first=line(" " * indent, ("→ ", Style.STRONG)), indent=indent + 2)
    return lines


def _verdict(checks: Sequence[Check]) -> Line:
    errors = sum(1 for check in checks if check.level == "error")
    warnings = sum(1 for check in checks if check.level == "warning")
    if not errors and not warnings:
        return line(("All is fine.", Style.GOOD))
    parts = [plural(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
    return line((" and ".join(parts) + ".", Style.BAD if errors else Style.WARN))
