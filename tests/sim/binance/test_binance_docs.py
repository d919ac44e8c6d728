"""The tables of the documentation that follow from the code alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs_section import check_section

import trueup.sim.binance
from trueup.sim.binance.routes import ROUTES, Route

PACKAGE = Path(trueup.sim.binance.__file__).parent


def _weight(route: Route) -> str:
    if route.path == "/fapi/v1/depth":
        return "2 – 20"
    if route.weight_without_symbol is None:
        return str(route.weight)
    return f"{route.weight}, {route.weight_without_symbol} without `symbol`"


def test_the_documentation_lists_the_endpoints() -> None:
    rows = [
        f"| {route.method} | `{route.path}` | {route.security.value} | {_weight(route)} | {route.orders or ''} |"
        for route in ROUTES
    ]
    check_section(
        "venue-binance.md",
        "endpoints",
        ["| method | path | asks for | weight | orders |", "|---|---|---|---|---|", *rows],
    )


def _text(node: ast.expr) -> str:
    """A text of the source, its inserted values as `…`."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _pairs(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Codes with their texts: arguments of `ApiError`, and the rows of the tables of refusals."""
    assigned = [
        (node.lineno, target.id, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ApiError":
            parts = node.args
        elif isinstance(node, ast.Tuple):
            parts = node.elts
        if len(parts) < 2 or not isinstance(parts[0], ast.UnaryOp):
            continue
        text = parts[1]
        if isinstance(text, ast.Name):
            name = text.id
            _, text = max(
                ((line, value) for line, known, value in assigned if known == name and line < node.lineno),
                key=lambda pair: pair[0],
            )
        yield ast.literal_eval(parts[0]), _text(text)


def test_the_documentation_lists_the_errors() -> None:
    found: dict[int, set[str]] = {}
    for path in sorted(PACKAGE.glob("*.py")):
        for code, text in _pairs(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(code, set()).add(text)
    rows = [
        f"| {code} | {' / '.join(sorted(text for text in found[code] if text))} |"
        for code in sorted(found, reverse=True)
    ]
    assert len(rows) > 50
    check_section("venue-binance.md", "errors", ["| code | text |", "|---|---|", *rows])
