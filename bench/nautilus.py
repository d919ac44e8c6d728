"""nautilus_trader's reconciliation of the same positions, measured in a process of its own (`bench.nautilus_engine`).

1. The package is no dependency: without it the reference is left out, and `HINT` tells how to have it.
2. Its process is asked for a sample when it is its turn: what the package imports, its threads and its positions burden
   nobody else.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.holdings import Holdings

__all__ = ["HINT", "LARGEST", "NAME", "VARIABLE", "Nautilus", "beside", "interpreter"]

NAME = "nautilus_trader"
VARIABLE = "TRUEUP_NAUTILUS"
"""An interpreter that has the package, where this one has not."""

LARGEST = 10_000
"""Positions; beyond it a reconciliation takes minutes: it copies its map of reports once for each position."""

HINT = (
    f"{NAME} is not measured: install it beside trueup (python -m pip install -c constraints.txt -e '.[nautilus]', "
    f"Python 3.11 to 3.13), or name the interpreter of a venv that has it in {VARIABLE}"
)
_ROOT = Path(__file__).parents[1]


def interpreter() -> str | None:
    """The one that is to run it. None: the package is not there."""
    named = os.environ.get(VARIABLE)
    if named:
        return os.path.abspath(named)  # not resolved: a venv's interpreter is a link to another's
    return sys.executable if importlib.util.find_spec(NAME) else None


class Nautilus:
    """Its engine beside one account, in sync; `spend` measures. Made by `beside`."""

    def __init__(self, process: subprocess.Popen[bytes], holdings: Holdings) -> None:
        self._process = process
        self._ask({"venue": holdings.venue, "answers": [[len(body) for body in look] for look in holdings.answers]})
        for look in holdings.answers:
            for body in look:
                self._write(body)
        self.version: str = self._answer()["version"]

    def spend(self, times: int) -> float:
        """Processor seconds of so many reconciliations: from the answer's bytes to their end.

        Raises:
            RuntimeError: Its process ended: the package is not there, or what it holds differs from the answers.
        """
        self._ask(times)
        spent: float = self._answer()["cpu_s"]
        return spent

    def _ask(self, question: object) -> None:
        self._write(json.dumps(question).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except BrokenPipeError:
            self._ended()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> None:
        code = self._process.wait(60)
        raise RuntimeError(
            f"{NAME}'s reconciliation, run by {self._process.args}, ended with exit code {code}; its message is above. "
            f"If the package is missing there, install {NAME}==1.221.0 into it or unset {VARIABLE}."
        )


@contextmanager
def beside(holdings: Holdings, python: str) -> Iterator[Nautilus]:
    """Starts its process and ends it.

    Raises:
        RuntimeError: It did not come to hold the positions of these answers.
    """
    command = [python, "-m", "bench.nautilus_engine"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, bufsize=0) as process:
        try:
            yield Nautilus(process, holdings)
        finally:
            process.kill()
