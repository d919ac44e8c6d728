"""Where results, notes and progress go: results to stdout, everything else to stderr.

1. Colours only on a terminal, never with NO_COLOR; a pipe gets plain lines without anything left out.
2. A reader that went away (`| head`) ends the output quietly and changes no exit code; a result that cannot be written for
   another reason (a full disk) is an error.
3. Progress is shown on a terminal only, and leaves nothing behind.
4. Known secrets are struck out of results too: an error of the venue that a report repeats may hold one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from trueup.cli.streams import PLAIN_SIGNS, hung_up, silence
from trueup.cli.text import Line, Style, line, paragraph
from trueup.model.errors import TrueupError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Output"]

_COLOURS = {
    Style.PLAIN: "",
    Style.STRONG: "bold",
    Style.DIM: "dim",
    Style.GOOD: "green",
    Style.WARN: "yellow",
    Style.BAD: "bold red",
}


class Output:
    """The process's standard streams, for one command."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        """`redact` strikes known secrets out of a text."""
        self.closed = False
        self._redact = redact
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=PLAIN_SIGNS)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads stdout."""
        return _is_terminal(sys.stdout)

    @property
    def is_read(self) -> bool:
        """False once nobody reads stdout any more, also where nothing was written since."""
        if not self.closed and hung_up(sys.stdout):
            self._end()
        return not self.closed

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where stdout is none."""
        return self._console.width if self.is_terminal else None

    @cached_property
    def _console(self) -> Console:
        return _console(sys.stdout)

    def json(self, value: object, *, one_line: bool = False) -> None:
        """One JSON document; `one_line` for streams of objects."""
        import msgspec

        encoded = msgspec.json.encode(value)
        if self._redact(encoded.decode()) != encoded.decode():
            encoded = msgspec.json.encode(_in_texts(value, self._redact))
        text = encoded.decode() if encoded.isascii() else json.dumps(msgspec.json.decode(encoded), ensure_ascii=True)
        self._write(msgspec.json.format(text, indent=0 if one_line else 2) + "\n")

    def text(self, text: str) -> None:
        """A line (or several) of result, as it is, at once."""
        self._write(self._redact(text) + "\n")

    def lines(self, lines: Iterable[Line]) -> None:
        """A screen, or a part of one."""
        if not self.is_terminal:
            self._write(self._redact("".join(f"{row.plain}\n" for row in lines)))
            return
        with self._console.capture() as captured:
            for row in self._redacted(lines):
                self._console.print(_markup(row), soft_wrap=True)
        self._write(captured.get())

    def note(self, text: str, style: Style = Style.DIM) -> None:
        """A remark for the person, on stderr."""
        self._to_stderr([line((row, style)) for row in text.splitlines()])

    def error(self, text: str) -> None:
        """Why the command failed, on stderr."""
        width = _console(sys.stderr).width if _is_terminal(sys.stderr) else None
        self._to_stderr(paragraph(text, width, first=line(("error: ", Style.BAD)), indent=2))

    @contextmanager
    def working(self, first: str) -> Iterator[Callable[[str], None]]:
        """Shows what goes on, on a terminal's stderr; yields the function that changes the line."""
        if not _is_terminal(sys.stderr):
            yield lambda text: None
            return
        from rich.text import Text

        with _console(sys.stderr).status(Text(first)) as status:
            yield lambda text: status.update(Text(text))

    @contextmanager
    def fullscreen(self) -> Iterator[Callable[[list[Line]], None]]:
        """A screen of its own that is drawn again and again; yields the function that draws it."""
        from rich.live import Live
        from rich.text import Text

        with Live(console=self._console, screen=True, auto_refresh=False) as live:

            def draw(lines: list[Line]) -> None:
                live.update(Text("\n").join(_markup(row) for row in self._redacted(lines)), refresh=True)

            yield draw

    def _redacted(self, lines: Iterable[Line]) -> Iterator[Line]:
        return (Line(tuple((self._redact(text), style) for text, style in row.spans)) for row in lines)

    def _to_stderr(self, lines: Iterable[Line]) -> None:
        try:
            if _is_terminal(sys.stderr):
                console = _console(sys.stderr)
                for row in lines:
                    console.print(_markup(row), soft_wrap=True)
            else:
                sys.stderr.write("".join(f"{row.plain}\n" for row in lines))
                sys.stderr.flush()
        except OSError:  # the exit code still tells
            silence(sys.stderr)

    def _write(self, text: str) -> None:
        if self.closed:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self._end()
        except OSError as error:
            self._end()
            raise TrueupError(f"the result cannot be written to stdout: {error.strerror or error}") from None

    def _end(self) -> None:
        self.closed = True
        silence(sys.stdout)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def _in_texts(value: object, change: Callable[[str], str]) -> object:
    """The document with each of its texts changed; a number is nobody's secret, whatever its digits."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(key)): _in_texts(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_texts(one, change) for one in value]
    return value


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _markup(row: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*((text, _COLOURS[style]) for text, style in row.spans if text), no_wrap=False)
