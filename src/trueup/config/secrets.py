"""Where a secret stands, and the secret itself, which no text ever shows.

1. A reference (`env:NAME`, `file:PATH`) is kept as it was written and read only when the secret is needed.
2. A `Secret` is revealed by one method and by nothing else: not by repr, str, format, pickling or an error.
3. What was revealed once can be struck out of any later text (`Redactor`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from trueup.model.errors import ConfigurationError

__all__ = ["Redactor", "Secret", "SecretKind", "SecretRef", "hide_userinfo", "is_environment_name"]

_HIDDEN = "***"
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORTEST_REDACTED = 4  # a shorter secret would strike innocent text out
_PIECE, _STRIDE = 9, 10
_LONG = _PIECE + _STRIDE - 1
"""Wherever a secret so long stands, one of its first pieces stands at a multiple of the stride."""


def is_environment_name(text: str) -> bool:
    """Whether it can be the name of an environment variable."""
    return _ENVIRONMENT_NAME.fullmatch(text) is not None


class Secret:
    """A text that shows itself to nobody but the caller of `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret text. Never put it into a log, an error or a report."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")


class SecretKind(StrEnum):
    ENV = "env"
    FILE = "file"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found.

    Attributes:
        target: The variable's name, the file's path, or (`LITERAL`, only where the configuration allows it) the text.
    """

    kind: SecretKind
    target: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """`env:NAME` and `file:PATH` are references, everything else is literal.

        Raises:
            ValueError: A reference without a name or path; the text says which, and shows nothing else.
        """
        if text.startswith("env:"):
            if not is_environment_name(text[4:]):
                raise ValueError("env: must be followed by the name of an environment variable")
            return cls(SecretKind.ENV, text[4:])
        if text.startswith("file:"):
            if not text[5:].strip():
                raise ValueError("file: must be followed by the path of a file")
            return cls(SecretKind.FILE, text[5:])
        return cls(SecretKind.LITERAL, text)

    @property
    def label(self) -> str:
        """For people: the reference as written; a literal is hidden."""
        return _HIDDEN if self.kind is SecretKind.LITERAL else f"{self.kind.value}:{self.target}"

    def __repr__(self) -> str:
        return f"SecretRef({self.kind.value if self.kind is SecretKind.LITERAL else self.label})"

    def resolve(self, where: str, *, environ: Mapping[str, str], base: Path) -> Secret:
        """Reads the secret.

        Args:
            where: Names account and key in errors, e.g. ``'account "main": api_key'``.
            environ: Read for `env:`.
            base: Folder that a relative `file:` path starts from (the configuration's own).

        Raises:
            ConfigurationError: The variable is unset or empty; the file is missing, unreadable or empty.
        """
        if self.kind is SecretKind.LITERAL:
            return Secret(self.target)
        if self.kind is SecretKind.ENV:
            value = environ.get(self.target, "").strip()
            if not value:
                state = "empty" if self.target in environ else "not set"
                raise ConfigurationError(
                    f"{where} is read from the environment variable {self.target}, which is {state}; "
                    f"set it (export {self.target}=...) or name another one"
                )
            return Secret(value)
        return self._read_file(where, base)

    def _read_file(self, where: str, base: Path) -> Secret:
        path = base / Path(self.target).expanduser()
        try:
            value = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise ConfigurationError(f"{where} is read from the file {path}: {problem}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{where} is read from the file {path}, which is not UTF-8 text") from None
        if not value:
            raise ConfigurationError(f"{where} is read from the file {path}, which is empty")
        return Secret(value)


class Redactor:
    """Strikes out of texts every secret that it was told of."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._ordered: list[str] = []  # longest first; empty: to be made anew
        self._pieces: set[str] = set()
        self._short: set[str] = set()

    def add(self, secret: Secret) -> None:
        """Also strikes out the password of a URL, alone, and both as JSON writes them."""
        value = secret.reveal()
        alone = [text for text in (value, _password_of(value)) if text is not None]
        for text in (*alone, *(json.dumps(text, ensure_ascii=only)[1:-1] for text in alone for only in (True, False))):
            if len(text) >= _SHORTEST_REDACTED:
                self._values.add(text)
                self._ordered = []
                if len(text) < _LONG:
                    self._short.add(text)
                else:
                    self._pieces.update(text[at : at + _PIECE] for at in range(_STRIDE))

    def clean(self, text: str) -> str:
        """The text with `***` in place of each known secret. A text without any is as quick with thousands of them."""
        pieces = [text[at : at + _PIECE] for at in range(0, len(text) - _PIECE + 1, _STRIDE)]
        if self._pieces.isdisjoint(pieces) and not any(short in text for short in self._short):
            return text
        if len(self._ordered) != len(self._values):
            self._ordered = sorted(self._values, key=len, reverse=True)
        for value in self._ordered:
            text = text.replace(value, _HIDDEN)
        return text

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} secrets)"


def _password_of(url: str) -> str | None:
    if "://" not in url or "@" not in url:
        return None
    userinfo = url.split("://", 1)[1].rsplit("@", 1)[0]
    return userinfo.split(":", 1)[1] if ":" in userinfo else None


_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*@)?([\w.\-\[\]:]*)(/[\w./ ~-]*)?(?:[?#].*)?", re.IGNORECASE | re.DOTALL)


def hide_userinfo(url: str) -> str:
    """A URL for people: user name and password hidden, query and fragment left out; hidden whole where it is odd.

    >>> hide_userinfo("postgresql://bob:pa@ss@db/book?password=x")
    'postgresql://***@db/book'
    """
    found = _URL.fullmatch(url)
    if found is None:
        return f"{url.split('://', 1)[0]}://{_HIDDEN}" if re.match(r"[a-zA-Z0-9+.-]{1,20}://", url) else _HIDDEN
    scheme, userinfo, host, path = found.groups()
    return f"{scheme}://{_HIDDEN + '@' if userinfo else ''}{host}{path or ''}"
