"""How a command ends when somebody stops it.

1. SIGINT and SIGTERM cancel the work once, so that it can give back what it holds; nothing is torn away half done.
2. `run` then ends with 0, at any time; every other command with 130 (SIGINT) or 143 (SIGTERM).
3. A second signal is ignored by `run`, which is already stopping; it makes other commands stop at once.

Imports nothing heavy: `exit_quietly_while_starting` is called before anything else is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "TERMINATED", "exit_quietly_while_starting", "run_to_end"]

INTERRUPTED = 130
TERMINATED = 143
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_quietly_while_starting(argv: Sequence[str]) -> None:
    """For the first line of `main`: a daemon that is stopped while it still loads has nothing to lose and ends with 0.

    Args:
        argv: The command line after the program's name. Only `run` is a daemon; for other commands nothing changes.
    """
    words = [word for word in argv if not word.startswith("-")]
    if words[:1] != ["run"] or threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))


def run_to_end(work: Coroutine[Any, Any, int], *, daemon: bool, redact: Callable[[str], str] = str) -> int:
    """Runs the coroutine on a loop of its own; returns its code, or the one that a signal asks for.

    Args:
        redact: Strikes known secrets out of what went wrong while a daemon stopped.
    """
    import asyncio

    return asyncio.run(_guarded(work, daemon=daemon, redact=redact))


async def _guarded(work: Coroutine[Any, Any, int], *, daemon: bool, redact: Callable[[str], str]) -> int:
    import asyncio

    if threading.current_thread() is not threading.main_thread():
        return await work  # only the main thread may handle signals; its owner stops us by cancelling
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1 and task is not None:
            loop.call_soon_threadsafe(task.cancel)
        elif not daemon:
            raise KeyboardInterrupt

    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, on_signal)
    try:
        return await work
    except asyncio.CancelledError:
        if not received:
            raise
        return _code(received[0], daemon=daemon)
    except Exception as error:
        if not (daemon and received):
            raise
        print(redact(f"trueup: while stopping: {type(error).__name__}: {error}"), file=sys.stderr)
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _code(number: int, *, daemon: bool) -> int:
    if daemon:
        return 0
    return INTERRUPTED if number == signal.SIGINT else TERMINATED
