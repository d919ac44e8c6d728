"""`python -m tests.support.mutants`: small wrong changes to the pure core; which do its unit tests not notice?

1. Every change that could be, or so many drawn by a seed, is tried in a process of its own, with a time limit: a fork of one that
   has collected the tests, or of one that has imported nothing where the change is not within a function.
2. A change that no test notices survives. `docs/mutants.md` lists the survivors with what `mutants.toml` says about them.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src" / "trueup" / "core"
EXPLAINED = Path(__file__).with_name("mutants.toml")
TESTS = ("tests/unit/core",)
QUIETLY = ("-x", "-q", "-p", "no:cacheprovider")
LIMIT_S = 60
UNCHANGED = -1

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """`module` and `line` (from 1) say where, `was` and `becomes` what; `number` counts the places of a module."""

    module: str
    number: int
    line: int
    was: str
    becomes: str

    @property
    def name(self) -> str:
        """As `mutants.toml` calls it: by its function, so that it stays when lines move."""
        return f"{self.module}.{_function(self.module, self.line)}: {self.was} → {self.becomes}"

    @property
    def is_within_a_function(self) -> bool:
        return _function(self.module, self.line) != "module"

    @property
    def key(self) -> tuple[str, int, str, str]:
        return self.module, self.number, self.was, self.becomes


@dataclass(frozen=True)
class Outcome:
    mutant: Mutant
    survived: bool
    seconds: float


@lru_cache
def _parsed(module: str) -> ast.Module:
    return ast.parse((CORE / f"{module}.py").read_text())


def _function(module: str, line: int) -> str:
    """The innermost function there; the module's own level is ``module``."""
    around = [
        node
        for node in ast.walk(_parsed(module))
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno).name if around else "module"


def _changed(node: ast.AST) -> ast.AST | None:
    """The same with one thing wrong; None: nothing of it is changed."""
    wrong = copy.deepcopy(node)
    if isinstance(wrong, ast.Compare) and len(wrong.ops) == 1 and type(wrong.ops[0]) in _COMPARED:
        wrong.ops = [_COMPARED[type(wrong.ops[0])]()]
    elif isinstance(wrong, ast.BoolOp):
        wrong.op = ast.Or() if isinstance(wrong.op, ast.And) else ast.And()
    elif isinstance(wrong, ast.UnaryOp) and isinstance(wrong.op, ast.Not):
        return wrong.operand
    elif isinstance(wrong, ast.BinOp) and type(wrong.op) in _COMPUTED:
        wrong.op = _COMPUTED[type(wrong.op)]()
    elif isinstance(wrong, ast.Constant) and isinstance(wrong.value, bool):
        wrong.value = not wrong.value
    elif isinstance(wrong, ast.Constant) and isinstance(wrong.value, int):
        wrong.value += 1
    elif isinstance(wrong, ast.Call) and isinstance(wrong.func, ast.Name) and wrong.func.id in _CALLED:
        wrong.func.id = _CALLED[wrong.func.id]
    elif isinstance(wrong, ast.IfExp):
        wrong.body, wrong.orelse = wrong.orelse, wrong.body
    else:
        return None
    return wrong


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, ast.AST]]:
    """Every (parent, field, place in it, node, what it becomes); annotations, types and a class's options are left alone."""
    options = {id(option) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for option in node.keywords}
    for parent in ast.walk(tree):
        if id(parent) in options:
            continue
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list") or _is_type(parent):
                continue
            for place, node in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(node, ast.AST):
                    wrong = _changed(node)
                    if wrong is not None:
                        yield parent, field, place, node, wrong


def _is_type(node: ast.AST) -> bool:
    """Whether it writes down a type: `A | B` at a module's level, or what is subscribed."""
    return isinstance(
        node, ast.Subscript | ast.ImportFrom | ast.TypeAlias if sys.version_info >= (3, 12) else ast.Subscript
    )


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change that could be made to a module."""
    tree = ast.parse(path.read_text())
    for number, (_, _, _, node, wrong) in enumerate(_places(tree)):
        yield Mutant(path.stem, number, getattr(node, "lineno", 0), ast.unparse(node), ast.unparse(wrong))


def mutated(path: Path, number: int) -> str:
    """The module's source with that change; with none where the number is -1."""
    tree = ast.parse(path.read_text())
    for count, (parent, field, place, _, wrong) in enumerate(_places(tree)):
        if count == number:
            if place is None:
                setattr(parent, field, wrong)
            else:
                getattr(parent, field)[place] = wrong
            return ast.unparse(ast.fix_missing_locations(tree))
    if number != UNCHANGED:
        raise ValueError(f"{path.stem} has no change number {number}")
    return ast.unparse(tree)


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a module another source than its file's."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, f"<mutant of {self._name}>", "exec"), module.__dict__)


def _from_the_start(mutant: Mutant) -> int:
    """Every module is imported with the change in it; pytest's exit code."""
    name, path = f"trueup.core.{mutant.module}", CORE / f"{mutant.module}.py"
    sys.meta_path.insert(0, _Instead(name, mutated(path, mutant.number)))
    return int(pytest.main([*QUIETLY, *TESTS]))


class _Collected:
    """A pytest plugin: where the tests would be run, forks of the process run them with a change of one function each."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        def run(mutant: Mutant) -> int:
            _exchange(mutant)
            for place, item in enumerate(session.items):
                following = session.items[place + 1] if place + 1 < len(session.items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return 1
            return 0

        self._queue.work_off(run, within_a_function=True)
        return True


def _exchange(mutant: Mutant) -> None:
    """Gives the functions of a module that is imported already the changed module's code."""
    name = f"trueup.core.{mutant.module}"
    changed = ModuleType(name)
    exec(compile(mutated(CORE / f"{mutant.module}.py", mutant.number), f"<mutant of {name}>", "exec"), vars(changed))
    _take_over(vars(sys.modules[name]), vars(changed), name)


def _take_over(old: Mapping[str, Any], new: Mapping[str, Any], module: str) -> None:
    for name, value in new.items():
        if isinstance(value, type) and value.__module__ == module:
            _take_over(vars(old[name]), vars(value), module)
        for kept, changed in zip(_functions(old.get(name)), _functions(value), strict=False):
            if changed.__module__ == module:
                kept.__code__ = changed.__code__
                kept.__defaults__, kept.__kwdefaults__ = changed.__defaults__, changed.__kwdefaults__


def _functions(value: object) -> list[FunctionType]:
    """The function that a name in a module or a class stands for, if it does."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, classmethod | staticmethod):
        value = value.__func__
    return [value] if isinstance(value, FunctionType) else []


class _Queue:
    """Changes that are to be tried, each in a fork of the process, some at a time. `tell` is given each outcome."""

    def __init__(self, mutants: Sequence[Mutant], jobs: int, ends_s: float, tell: Callable[[Outcome], None]) -> None:
        self._mutants = list(mutants)
        self._jobs = jobs
        self._ends_s = ends_s
        self._tell = tell

    def work_off(self, run: Callable[[Mutant], int], *, within_a_function: bool) -> None:
        """Those of the one kind, while there is time. An endless one is noticed when its own time is over."""
        waiting = [one for one in self._mutants if one.is_within_a_function is within_a_function]
        running: dict[int, tuple[Mutant, float]] = {}
        while running or (waiting and time.monotonic() < self._ends_s):
            while waiting and len(running) < self._jobs and time.monotonic() < self._ends_s:
                mutant = waiting.pop(0)
                running[_forked(partial(run, mutant))] = mutant, time.monotonic()
            child, status = os.wait()
            mutant, began = running.pop(child)
            survived = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
            self._tell(Outcome(mutant, survived, round(time.monotonic() - began, 1)))


def _forked(act: Callable[[], int]) -> int:
    """The process id of a fork that ends with what `act` returns."""
    child = os.fork()
    if child:
        return child
    signal.alarm(LIMIT_S)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    code = 3
    try:
        code = act()
    finally:
        os._exit(code)


def sample(count: int, seed: int) -> list[Mutant]:
    """So many of all changes (0: all), drawn by the seed."""
    every = [mutant for path in sorted(CORE.glob("*.py")) for mutant in mutants_of(path)]
    drawn = random.Random(seed).sample(every, min(count, len(every))) if count else every
    return sorted(drawn, key=lambda each: (each.module, each.number))


def page(outcomes: Sequence[Outcome], seed: int) -> str:
    """docs/mutants.md."""
    explained = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    total = sum(1 for path in CORE.glob("*.py") for _ in mutants_of(path))
    left = sorted((one.mutant for one in outcomes if one.survived), key=lambda each: (each.module, each.line))
    lines = [
        "# Mutants of the core",
        "",
        "`python -m tests.support.mutants --write-docs` makes small wrong changes to `trueup.core`, one at a time, and runs",
        f"the core's unit tests on each. Drawn by seed {seed} and tried: {len(outcomes)} of {total} possible changes; "
        f"{len(outcomes) - len(left)} were noticed, {len(left)} were not.",
        "",
    ]
    if left:
        unjudged = sum(each.name not in explained for each in left)
        if unjudged:
            lines += [f"Of {unjudged} nobody has said yet why they do no harm: each is owed a test or a reason.", ""]
        lines += ["| function | change that no unit test notices | why |", "|---|---|---|"]
        for each in left:
            change = f"`{_cell(each.was)}` → `{_cell(each.becomes)}`"
            lines.append(f"| `{each.name.partition(': ')[0]}` | {change} | {explained.get(each.name, '')} |")
        lines += [""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every survivor is explained; 1: some is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=0, help="0: all that there are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="what is not tried by then is left for the next time"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutants.json", help="kept and added to")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args(arguments)
    chosen = sample(options.count, options.seed)
    known = _kept(options.results)

    def tell(outcome: Outcome) -> None:
        mutant = outcome.mutant
        if mutant.number == UNCHANGED:
            if not outcome.survived:
                raise SystemExit("the core's unit tests do not pass as it is: mend them first")
            return
        known[mutant.key] = outcome
        if outcome.survived:
            print(f"survives: {mutant.module}:{mutant.line}: {mutant.was} → {mutant.becomes}", flush=True)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        whole = options.results.with_suffix(".new")
        whole.write_text(json.dumps([asdict(each) for each in known.values()]) + "\n")
        whole.replace(options.results)

    ends_s = time.monotonic() + options.minutes * 60
    unchanged = Mutant("decide", UNCHANGED, 0, "", "")
    _Queue([unchanged], 1, ends_s, tell).work_off(_from_the_start, within_a_function=False)
    queue = _Queue([mutant for mutant in chosen if mutant.key not in known], options.jobs, ends_s, tell)
    queue.work_off(_from_the_start, within_a_function=False)
    pytest.main([*QUIETLY, "--capture=no", *TESTS], plugins=[_Collected(queue)])
    outcomes = [known[mutant.key] for mutant in chosen if mutant.key in known]
    text = page(outcomes, options.seed)
    if options.write_docs:
        (ROOT / "docs" / "mutants.md").write_text(text)
    survivors = sum(outcome.survived for outcome in outcomes)
    print(f"{len(outcomes)} changes, {survivors} survive")
    return 1 if any(line.endswith("|  |") for line in text.splitlines()) else 0


def _kept(results: Path) -> dict[tuple[str, int, str, str], Outcome]:
    """What was tried before."""
    read = json.loads(results.read_text()) if results.exists() else []
    outcomes = [Outcome(Mutant(**each["mutant"]), each["survived"], each["seconds"]) for each in read]
    return {outcome.mutant.key: outcome for outcome in outcomes}


if __name__ == "__main__":
    sys.exit(main())
