"""Every page: links lead somewhere, commands can be given, names exist."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from docs_pages import PAGES, ROOT, anchors, codes, commands, links, prose, typed
from typer.testing import CliRunner

from trueup.cli import build_app

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_ROOMS = "bootstrap|cli|config|core|engine|hunt|model|sim|store|venues"
_DOTTED = re.compile(rf"(?:trueup\.)?((?:{_ROOMS})(?:\.\w+)+)(?:\(.*\))?")


def test_there_are_pages() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/README.md", "docs/origin.md"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for link in links(name):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        page = (ROOT / name).parent / target if target else ROOT / name
        assert page.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(str(page.resolve().relative_to(ROOT))), f"{name}: {link}"


def test_the_index_names_every_page() -> None:
    listed = {Path(link.partition("#")[0]) for link in links("docs/README.md")}
    missing = [name for name in NAMES if name.startswith("docs/") and Path(name).relative_to("docs") not in listed]
    assert missing == ["docs/README.md"]


def _no_services(_settings: object) -> Any:
    raise AssertionError("help opens nothing")


@pytest.mark.parametrize("name", [name for name in NAMES if commands(name) or typed(name)])
def test_shell_commands_can_be_given(name: str) -> None:
    app = build_app(_no_services)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in [*commands(name), *typed(name)]:
        words = shlex.split(re.sub(r"^[A-Z_]+=\S+ (?=\w)", "", line.partition(" 2>>")[0]))
        match words:
            case ["trueup", *arguments]:
                done = CliRunner().invoke(app, [*arguments, "--help"])
                assert done.exit_code == 0, f"{name}: {line}\n{done.output}"
            case ["make", *wanted]:
                goals = {word for word in wanted if "=" not in word}
                assert goals <= targets, f"{name}: {line}"
            case [_, "-m", "pip", "install", *wanted]:
                assert _installable(wanted), f"{name}: {line}"
            case [_, "-m", "venv", _]:
                pass
            case [".", ".venv/bin/activate"] | ["export", _] | ["curl", *_]:
                pass
            case _:
                raise AssertionError(f"{name}: this test does not know how to check {line!r}")


def _installable(wanted: list[str]) -> bool:
    """Whether it is an extra of ours or a package that is pinned."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    match wanted:
        case ["--constraint", "constraints.txt", "--editable", what]:
            return what in {".", *(f".[{extra}]" for extra in extras)}
        case ["--constraint", "constraints.txt", package]:
            return package in pinned
    return False


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/configuration.md"])
def test_names_of_code_exist(name: str) -> None:
    """`room.module.name`; the configuration's page has keys of that form instead."""
    for code in codes(prose(name)):
        found = _DOTTED.fullmatch(code)
        if found is not None and not found.group(1).endswith((".py", ".toml", ".md", ".json")):
            assert _exists(found.group(1)), f"{name}: {code}"


def _exists(dotted: str) -> bool:
    """Whether it is a module of trueup, or something within one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module("trueup." + ".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            annotations = getattr(found, "__annotations__", {})
            if not hasattr(found, name) and name not in annotations:
                return False
            found = getattr(found, name, None)
        return True
    return False
