"""Deliberate bugs, how they are written down: what is wrong, under which faults it shows, and how it is put into the program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["BUGS", "MENDED", "Bug", "Patch", "bug", "instead", "mended", "nothing", "planted"]


class Patch:
    """Puts things in other things' place, and back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, where: Any, name: str, value: Any) -> None:
        self._before.append((where, name, where.__dict__[name]))
        setattr(where, name, value)

    def around(self, where: Any, name: str, make: Callable[[Any], Any]) -> None:
        """`make` gets what stands there and gives what is to."""
        self.put(where, name, make(where.__dict__[name]))

    def undo(self) -> None:
        for where, name, value in reversed(self._before):
            setattr(where, name, value)


@dataclass(frozen=True)
class Bug:
    """What is wrong, under which faults it shows, how it is planted, and which acts of traders show it most."""

    meaning: str
    faults: tuple[str, ...]
    put: Callable[[Patch], None]
    favour: tuple[str, ...] = ()


BUGS: dict[str, Bug] = {}
"""By name, in the order in which they were written down."""
MENDED: dict[str, Bug] = {}
"""The same of bugs that were really there: each shows on the plans that are kept of it."""


def bug(
    meaning: str, *faults: str, favour: tuple[str, ...] = ()
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Writes one down under its function's name."""

    def keep(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS[put.__name__] = Bug(meaning, faults, put, favour)
        return put

    return keep


def mended(meaning: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Writes one down that was really there."""

    def keep(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MENDED[put.__name__] = Bug(meaning, (), put)
        return put

    return keep


def instead(error: type[Exception], answer: Callable[..., Any]) -> Callable[[Any], Any]:
    """What gives `answer` where the real call raises `error`."""

    def make(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(self: Any, *args: Any, **named: Any) -> Any:
            try:
                return await real(self, *args, **named)
            except error:
                return answer(self, *args, **named)

        return call

    return make


async def nothing(*_: object, **__: object) -> None:
    """In the place of what is forgotten."""
    return


@contextmanager
def planted(name: str) -> Generator[None, None, None]:
    """While it lasts the bug is in the program."""
    patch = Patch()
    try:
        (BUGS | MENDED)[name].put(patch)
        yield
    finally:
        patch.undo()
