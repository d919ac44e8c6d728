"""From a file to `Settings`: find it, read it exactly, check it whole.

1. The path is the one named, else TRUEUP_CONFIG, else ./trueup.toml.
2. TOML numbers keep their own digits: a float is read as a `Decimal` of its text.
3. Everything that is wrong with the file is a `ConfigurationError`, and never shows a secret.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from trueup.config.lines import KeyLines
from trueup.config.problems import cross_problems, field_problems, raise_problems
from trueup.config.settings import Settings
from trueup.model.errors import ConfigurationError

__all__ = ["CONFIG_VARIABLE", "DEFAULT_PATH", "config_path", "load_settings", "parse_settings"]

CONFIG_VARIABLE = "TRUEUP_CONFIG"
DEFAULT_PATH = Path("trueup.toml")


def config_path(named: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """Which file to read: the one named, else that of TRUEUP_CONFIG, else ./trueup.toml."""
    if named is not None:
        return named
    written = (os.environ if environ is None else environ).get(CONFIG_VARIABLE)
    return Path(written).expanduser() if written else DEFAULT_PATH


def load_settings(named: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Reads and checks the configuration.

    Args:
        named: From `--config`; None: see `config_path`.
        environ: Where `TRUEUP_CONFIG` and later the secrets are read; None: the process's own.

    Raises:
        ConfigurationError: No such file, no TOML, or values that cannot be; all problems are listed together.
    """
    environ = os.environ if environ is None else environ
    path = config_path(named, environ)
    return parse_settings(_read(path, by_default=path == DEFAULT_PATH), path, environ)


def parse_settings(text: str, path: Path, environ: Mapping[str, str]) -> Settings:
    """Checks the text of a configuration; `path` names it in errors and is where its relative paths start."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path} is not TOML: {error}; texts stand in double quotes, sections in [brackets]"
        ) from None
    problems = cross_problems(data)
    settings: Settings | None = None
    try:
        settings = Settings.build(data, path=path, environ=environ)
    except ValidationError as error:
        problems += field_problems(error, data)
    raise_problems(problems, path, KeyLines(text))
    assert settings is not None, "no problem was found, so the settings were built"
    return settings


def _read(path: Path, *, by_default: bool) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows begin a text with a byte order mark
    except FileNotFoundError:
        where = "in this folder" if by_default else f"at {path}"
        name = f" {path.name}" if by_default else ""
        raise ConfigurationError(
            f"there is no configuration{name} {where}: write one with `trueup init`, "
            f"or name yours with --config or {CONFIG_VARIABLE}"
        ) from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path} is a folder; name the file, e.g. --config {path / 'trueup.toml'}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None
