"""The tables of the documentation that follow from the code alone, and that every refusal has its code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from docs_section import check_section

import trueup.sim.bybit
from trueup.sim.bybit.errors import refused
from trueup.sim.bybit.routes import ROUTES, Route
from trueup.sim.world import refusals

PACKAGE = Path(trueup.sim.bybit.__file__).parent


def _rights(route: Route) -> str:
    if not route.private:
        return "public"
    return "signed, may trade" if route.writes else "signed"


def test_the_documentation_lists_the_endpoints() -> None:
    rows = [
        f"| {method} | `{path}` | {_rights(route)} | {route.limit or ''} |" for (method, path), route in ROUTES.items()
    ]
    head = ["| method | path | asks for | per second and account |", "|---|---|---|---|"]
    check_section("venue-bybit.md", "endpoints", head + rows)


def _text(node: ast.expr, assigned: dict[str, ast.expr]) -> str:
    """A text of the source, its inserted values as `…`."""
    if isinstance(node, ast.Name):
        node = assigned.get(node.id, node)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _codes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Codes with their texts: arguments of `ApiError` and of the functions that make one."""
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name, arguments = node.func.id, node.args
        if name in ("ApiError", "_says") and isinstance(arguments[0], ast.Constant):
            yield int(str(arguments[0].value)), _text(arguments[1], assigned)
        elif name == "bad_parameter":
            yield 10001, _text(arguments[0], assigned) if arguments else "Request parameter error."
        elif name == "invalid":
            yield 10001, "… invalid"


def test_the_documentation_lists_the_codes() -> None:
    found: dict[int, set[str]] = {}
    for path in sorted(PACKAGE.glob("*.py")):
        for code, text in _codes(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(code, set()).add(text)
    rows = [f"| {code} | {' / '.join(sorted(t for t in texts if t))} |" for code, texts in sorted(found.items())]
    assert len(rows) > 25
    check_section("venue-bybit.md", "codes", ["| retCode | retMsg |", "|---|---|", *rows])


def _made(kind: type[refusals.Refusal]) -> refusals.Refusal:
    """A refusal of the type, whatever its arguments."""
    wants = {
        refusals.QuantityFilter: {"limit": "min", "bound": Decimal(1)},
        refusals.MinNotional: {"minimum": Decimal(5)},
        refusals.TooManyConditionals: {"limit": 10},
        refusals.BadAttachedStop: {"field": "stop_loss", "wanted": Decimal(2), "base": Decimal(1)},
        refusals.ChangeBlocked: {"by": "order"},
    }
    return kind("as the world says it", **wants.get(kind, {}))


@pytest.mark.parametrize("kind", refusals.Refusal.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_of_the_world_has_its_code(kind: type[refusals.Refusal]) -> None:
    error = refused(_made(kind))
    assert error.code >= 10_001
    assert error.text
