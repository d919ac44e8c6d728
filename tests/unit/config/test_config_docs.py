"""docs/configuration.md names every key with its default, and its example is valid."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from pydantic import BaseModel

from trueup.config import AccountSettings, HostPort, SecretRef, Settings, parse_settings

DOCS = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS = {f"[{name}]": type(field.default) for name, field in Settings.model_fields.items() if name != "accounts"}
KEYS = [
    (heading, key)
    for heading, model in (SECTIONS | {"[[accounts]]": AccountSettings}).items()
    for key in model.model_fields
]


def rows(heading: str) -> dict[str, str]:
    """Key → the default as written, of a section's table."""
    section = DOCS.split(f"## `{heading}`\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", section, flags=re.MULTILINE)
    return {key.strip("` "): default.strip() for keys, default in found for key in keys.split(",")}


def written(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, SecretRef):
        return f'`"{value.target}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum | HostPort):
        return f'`"{value.value if isinstance(value, Enum) else value}"`'
    if isinstance(value, tuple):
        return "`[]`"
    return f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`"


@pytest.mark.parametrize(("heading", "key"), KEYS)
def test_every_key_stands_in_the_docs_with_its_default(heading: str, key: str) -> None:
    model: type[BaseModel] = SECTIONS.get(heading, AccountSettings)
    field = model.model_fields[key]
    told = rows(heading)[key]

    if field.is_required():
        assert told == "required"
    elif isinstance(field.default, Decimal):
        assert told.strip('`"') == str(field.default)
    else:
        assert told == written(field.default)


def test_the_docs_name_no_other_key() -> None:
    told = {(heading, key) for heading in [*SECTIONS, "[[accounts]]"] for key in rows(heading)}

    assert told == set(KEYS)


def test_the_small_example_is_whole() -> None:
    example = re.findall(r"```toml\n(.*?)```", DOCS, flags=re.DOTALL)[0]

    assert parse_settings(example, Path("trueup.toml"), {}).account_names == ("main",)
    assert set(tomllib.loads(example)) == {"accounts"}
