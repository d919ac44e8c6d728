"""docs/venue.md: its examples run as they stand, with their output; its tables are what the code says."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "sim" / "misbehaviour"))

from docs_blocks import DOCS, Block, blocks_of, check_part
from misbehaviour_seen import SAME, SEEN

import trueup.sim.faults
from trueup.sim.actions import ACTIONS
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.scenario import parse_scenario

PAGE = "venue.md"
TOOLS = ("bash", "curl", "grep", "head", "openssl", "sed")


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """A venue that was just started, as the page says; its ports by those of the page."""
    command = [sys.executable, "-m", "trueup", "venue", "serve", "--port", "0", "--no-view"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said: dict[str, str] = {}
    for line in process.stdout:
        said[line.split()[0]] = line.split()[1].rpartition(":")[2]
        if line.startswith("look"):
            break
    yield {"9001": said["REST"], "9002": said["control"]}
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=30) == 0


def _run(block: Block, ports: dict[str, str]) -> str:
    """What the block prints, as a process of its own."""
    text = re.sub(r"\b(9001|9002)\b", lambda port: ports[port.group()], block.text)
    text = re.sub(r"^(trueup venue (?:do|faults?|clear)\b[^|\n]*)", _control(ports), text, flags=re.MULTILINE)
    command = [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euc", text]
    folder = str(Path(sys.executable).parent)
    environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environ, check=False)
    assert done.returncode == 0, f"line {block.line}: {done.stderr}"
    return done.stdout


def _control(ports: dict[str, str]) -> str:
    """The page's ports are the defaults; the test's are not."""
    return rf"\1 --control http://127.0.0.1:{ports['9002']} "


def _examples(language: str) -> list[tuple[Block, Block]]:
    """Each block of the language with its output, in order."""
    blocks = blocks_of(PAGE)
    pairs = [pair for pair in pairwise(blocks) if pair[0].language == language]
    for block, output in pairs:
        assert output.language == "output", f"line {block.line}: its output is not shown"
    return pairs


@pytest.mark.parametrize("language", ["python", "bash"])
def test_the_examples_print_what_the_page_says(ports: dict[str, str], language: str) -> None:
    if language == "bash" and not all(shutil.which(tool) for tool in TOOLS):
        pytest.skip(f"this machine lacks one of {', '.join(TOOLS)}, which the page's shell examples use")
    examples = _examples(language)
    assert len(examples) >= 3
    for block, output in examples:
        assert _run(block, ports) == output.text, f"line {block.line}"


def test_every_output_is_of_an_example() -> None:
    outputs = [block for block in blocks_of(PAGE) if block.language == "output"]
    assert len(outputs) == sum(len(_examples(language)) for language in ("python", "bash"))


def test_the_examples_of_ccxt_have_five_lines() -> None:
    examples = [block for block in blocks_of(PAGE) if block.language == "python"][:2]
    assert [len(block.text.splitlines()) for block in examples] == [5, 5]


def test_the_scenario_of_the_page_is_one() -> None:
    (block,) = [block for block in blocks_of(PAGE) if block.language == "toml"]
    scenario = parse_scenario(tomllib.loads(block.text), PAGE)
    assert (len(scenario.accounts), len(scenario.steps)) == (1, 3)


def test_every_example_scenario_is_named() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    for file in (DOCS.parent / "examples" / "scenarios").glob("*.toml"):
        assert f"(../examples/scenarios/{file.name})" in text


def test_the_links_lead_somewhere() -> None:
    for page in ("venue.md", "venue-binance.md", "venue-bybit.md"):
        for target in re.findall(r"\]\(([^)#]+)", (DOCS / page).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (DOCS / target).exists(), f"{page}: {target}"


_MUST = {"text": 1, "amount": 1, "integer": 1, "choice": 2}
"""Methods of `Arguments` that need the argument when they are called with so many values (one more is its default)."""
_MAY = {"optional_text", "optional_amount", "flag", "table"}


def _arguments(function: ast.FunctionDef) -> list[str]:
    """What an action reads of its arguments; in italics what may be left out."""
    found: list[tuple[tuple[int, int], str, bool]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.DictComp) and isinstance(node.generators[0].iter, ast.Tuple):
            names = ast.literal_eval(node.generators[0].iter)  # {key: a.optional_amount(key) for key in ("rate", …)}
            found += [((node.lineno, place), name, False) for place, name in enumerate(names)]
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "a"
        ):
            found += [((node.lineno, node.col_offset), *read) for read in _reads(node, node.func.attr)]
    shown = {name: required for _, name, required in sorted(found)}
    return [f"`{name}`" if required else f"*`{name}`*" for name, required in shown.items()]


def _reads(call: ast.Call, method: str) -> list[tuple[str, bool]]:
    """The argument that one call takes, and whether it must be given."""
    given = call.args
    if method == "venue":
        return [("venue", any(keyword.arg == "required" for keyword in call.keywords))]
    if not given or not isinstance(given[0], ast.Constant):
        return []
    name = str(given[0].value)
    if method in _MUST:
        return [(name, len(given) <= _MUST[method])]
    return [(name, False)] if method in _MAY else []


def test_the_table_of_actions() -> None:
    rows = []
    for name in sorted(ACTIONS):
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(ACTIONS[name]))).body
        assert isinstance(function, ast.FunctionDef)
        takes = ", ".join(_arguments(function)) + (", and what stands below" if name == "fault" else "")
        rows.append(f"| `{name}` | {takes.removeprefix(', ')} | {(ACTIONS[name].__doc__ or '').strip()} |")
    check_part(PAGE, "actions", ["| action | takes | does |", "|---|---|---|", *rows])


def _kinds() -> dict[str, str]:
    """The text under each kind in the source."""
    tree = ast.parse(inspect.getsource(trueup.sim.faults))
    (kinds,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "FaultKind"]
    told: dict[str, str] = {}
    name = ""
    for node in kinds.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told[name] = " ".join(str(node.value.value).split())
    return told


def test_the_table_of_faults() -> None:
    told = _kinds()
    rows = []
    for kind in FaultKind:
        binance, bybit = SEEN[kind]
        cells = [binance, binance if bybit == SAME else bybit]
        rows.append(f"| `{kind}` | {told[kind.name]} | {' | '.join(cell or '–' for cell in cells)} |")
    head = ["| kind | what goes wrong | ccxt on Binance | ccxt on Bybit |", "|---|---|---|---|"]
    check_part(PAGE, "faults", head + rows)


def test_every_field_of_a_fault_is_explained() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    for field in fields(Fault):
        assert f"`{field.name}`" in text or field.name == "kind"
