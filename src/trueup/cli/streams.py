"""The process's standard streams, as every command may rely on them.

1. stdin, stdout and stderr are there: one that was closed (`>&-`, as some service managers do) is the null device. A daemon
   does not end because nobody reads its first line, and no file that is opened later takes the place of one.
2. What a stream's encoding does not have is written as the nearest plain sign, one for one, so that columns stay aligned.
3. Whether anybody still reads stdout is known without writing to it.

Imports nothing heavy: `open_missing` is called before anything else is loaded.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

__all__ = ["PLAIN_SIGNS", "hung_up", "open_missing", "silence"]

PLAIN_SIGNS = "trueup.plain_signs"
"""The name of the codecs' error handler that does 2."""

_NEAREST = {"·": "|", "–": "-", "—": "-", "→": ">", "…": ".", "±": "~", "×": "x", "↑": "^", "↓": "v", "’": "'"}


def open_missing() -> None:
    """Opens what is closed of the three on the null device."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if number > 2:
            os.close(number)
            break
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process


def silence(stream: TextIO) -> None:
    """Whatever is still written there (at exit, too) goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def hung_up(stream: TextIO) -> bool:
    """Whether what is written there would reach nobody: a pipe or a terminal whose other end is closed."""
    import select

    try:
        number = stream.fileno()
        poller = select.poll()
        poller.register(number, 0)  # errors are told without being asked for
        return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poller.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll on this system, or no file under the stream
        return False


def _plain_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_NEAREST.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN_SIGNS, _plain_signs)
