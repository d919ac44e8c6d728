"""Logs of a command: to stderr, as lines for people or as JSON for machines, and never with a secret in them.

1. Everything goes one way: structlog's events and the standard library's records of the packages underneath.
2. Every rendered line passes the redactor; keys that name secrets are struck out whatever they hold.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any

__all__ = ["LogLevel", "configure_logs"]

_SECRET_KEY = re.compile(
    r"api_?key|secret|password|passphrase|signature|listen_?key|token|authorization", re.IGNORECASE
)
_NOISY = ("aiohttp.access", "aiosqlite", "alembic", "asyncio", "ccxt", "sqlalchemy", "urllib3", "apprise")


class LogLevel(IntEnum):
    """What is logged: the standard library's numbers."""

    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR


class _StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment: a progress display may stand in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except BrokenPipeError:
            pass
        except Exception:
            self.handleError(record)


def configure_logs(level: LogLevel, *, as_json: bool, redact: Callable[[str], str]) -> None:
    """Sets up structlog and the root logger of this process.

    Args:
        redact: Strikes known secrets out of a finished line.
    """
    import structlog

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        _strike_secret_keys,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    tail: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        tail += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    else:
        plain = structlog.dev.plain_traceback
        tail.append(structlog.dev.ConsoleRenderer(colors=_colours(), exception_formatter=plain, timestamp_key="at"))
    tail.append(lambda _logger, _name, text: redact(text))
    handler = _StderrHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=tail))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else logging.INFO)


def _colours() -> bool:
    import os

    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _strike_secret_keys(_logger: Any, _name: str, event: Any) -> Any:
    for key in event:
        if isinstance(key, str) and _SECRET_KEY.search(key):
            event[key] = "***"
    return event
