"""What is wrong with a configuration, told so that it can be mended: key, line, value, what is expected.

1. All problems that can be seen at once are told at once, in the order of the file.
2. A value is shown only where it cannot be a secret; a key's name decides first, then the look of the value.
3. The validator's own error never leaves this module: it holds the input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trueup.config.fields import did_you_mean
from trueup.config.lines import KeyLines
from trueup.config.secrets import hide_userinfo
from trueup.config.settings import AccountSettings, Settings
from trueup.model.errors import ConfigurationError
from trueup.model.instruments import normalize_symbol

__all__ = ["Problem", "cross_problems", "field_problems", "raise_problems"]

Loc = tuple[str | int, ...]

_SECRET_WORD = re.compile(r"key|secret|pass|pwd|token|cred|auth|dsn|pin$|private|seed|mnemonic", re.IGNORECASE)
_URL_KEYS = frozenset({"url", "urls", "proxy", "rest_url", "ws_url"})
_NATIVE_CALLBACKS = (Decimal("0.1"), Decimal(10))
_PLAIN_WORD = re.compile(r"[a-z]{1,15}")
_CREDENTIAL_LIKE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_.\-]{16,}")
_EXAMPLES = {
    "name": 'name = "main"',
    "venue": 'venue = "binanceusdm"',
    "api_key": 'api_key = "env:BINANCE_KEY"',
    "api_secret": 'api_secret = "env:BINANCE_SECRET"',
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `text` says what, `loc` where in the data."""

    loc: Loc
    text: str


def field_problems(error: ValidationError, data: Mapping[str, Any]) -> list[Problem]:
    """What the validator found, in our words."""
    return [_translate(detail, data) for detail in error.errors(include_url=False, include_context=True)]


def _translate(detail: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    loc = tuple(detail["loc"])
    key = key_text(loc, data)
    if detail["type"] == "missing":
        if loc == ("accounts",):
            return Problem(loc, "there is no account; add an [[accounts]] section (`trueup init` writes an example)")
        return Problem(loc, f"{key} is missing; add a line such as {_EXAMPLES.get(str(loc[-1]), loc[-1])}")
    value = detail["input"]
    if detail["type"] == "extra_forbidden":
        return Problem(loc, _unknown_key(loc, value, data))
    if detail["type"] == "trueup":
        expected = detail["msg"]
    elif "model" in detail["type"] or "dict" in detail["type"]:
        expected = f"expected a section [{loc[0]}]" if loc[0] != "accounts" else "expected sections [[accounts]]"
    else:
        expected = "expected sections [[accounts]]" if loc == ("accounts",) else 'expected a list, e.g. ["..."]'
    return Problem(loc, f"{key}{_equals(loc, value)}: {expected}")


def _unknown_key(loc: Loc, value: object, data: Mapping[str, Any]) -> str:
    known = _keys_of(loc[:-1])
    word = str(loc[-1])
    near = did_you_mean(word, known)
    elsewhere = sorted(name for name, model in _sections().items() if word in model.model_fields)
    if elsewhere:
        mend = f"it belongs to {' or '.join(elsewhere)}"
    elif near is not None:
        mend = f"did you mean {near}?"
    else:
        mend = f"known here: {', '.join(known)}"
    hidden = _SECRET_WORD.search(word) is not None or near in ("api_key", "api_secret")
    shown = "" if hidden else _equals(loc, value, unknown=True)
    return f"{key_text(loc, data)}{shown}: unknown key; {mend}"


def _sections() -> dict[str, type[BaseModel]]:
    models: dict[str, type[BaseModel]] = {"[[accounts]]": AccountSettings}
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            models[f"[{name}]"] = kind
    return models


def _keys_of(path: Loc) -> list[str]:
    if not path:
        return list(Settings.model_fields)
    name = "[[accounts]]" if path[0] == "accounts" else f"[{path[0]}]"
    model = _sections().get(name)
    return list(model.model_fields) if model is not None else []


def key_text(loc: Loc, data: Mapping[str, Any]) -> str:
    """``sync.orders_every``; in an account ``account "main": venue``, by its number where it has no readable name."""
    if len(loc) >= 2 and loc[0] == "accounts" and isinstance(loc[1], int):
        rest = _dotted(loc[2:])
        who = f"account {_account_label(data, loc[1])}"
        return f"{who}: {rest}" if rest else who
    return _dotted(loc)


def _dotted(loc: Loc) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _account_label(data: Mapping[str, Any], index: int) -> str:
    accounts = data.get("accounts")
    account = accounts[index] if isinstance(accounts, list) and index < len(accounts) else None
    name = account.get("name") if isinstance(account, dict) else None
    if isinstance(name, str) and re.fullmatch(r"[\w.-]{1,63}", name) and not _CREDENTIAL_LIKE.fullmatch(name):
        return f'"{name}"'
    return f"number {index + 1}"


def _equals(loc: Loc, value: object, *, unknown: bool = False) -> str:
    """`` = VALUE``, or nothing where the value might be a secret."""
    keys = {part for part in loc if isinstance(part, str)}
    if any(_SECRET_WORD.search(key) for key in keys):
        return " (value not shown)"
    if isinstance(value, dict):
        return " = {...}"
    if isinstance(value, list | tuple):
        return " = [...]" if keys & _URL_KEYS or unknown else f" = {_short(json.dumps(value, default=str))}"
    if isinstance(value, str):
        return _text_value(value, keys, unknown=unknown)
    if isinstance(value, bool):
        return f" = {str(value).lower()}"
    return f" = {value}" if isinstance(value, int | float | Decimal) else " = " + _short(str(value))


def _text_value(value: str, keys: set[str], *, unknown: bool) -> str:
    hidden = " (value not shown)"
    if keys & {"rest_url", "ws_url"}:
        return f' = "{hide_userinfo(value)}"' if "://" in value else hidden
    if keys & _URL_KEYS or "://" in value or _CREDENTIAL_LIKE.fullmatch(value.strip()):
        return hidden
    if unknown and not _PLAIN_WORD.fullmatch(value):
        return hidden
    return f" = {_short(json.dumps(value, ensure_ascii=False))}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def cross_problems(data: Mapping[str, Any]) -> list[Problem]:
    """What no single field shows: two accounts of one name, a symbol both wanted and ignored, no account at all."""
    accounts = data.get("accounts")
    if not isinstance(accounts, list):
        return []
    if not accounts:
        return [Problem(("accounts",), "accounts = []: there is no account; add an [[accounts]] section")]
    problems: list[Problem] = []
    first_of: dict[str, int] = {}
    for index, account in enumerate(accounts):
        if not isinstance(account, dict):
            continue
        name = account.get("name")
        if isinstance(name, str) and name in first_of:
            text = f"{key_text(('accounts', index, 'name'), data)}: another account has this name; give each its own"
            problems.append(Problem(("accounts", index, "name"), text))
        elif isinstance(name, str):
            first_of[name] = index
        problems.extend(_symbol_problems(index, account, data))
    return [*problems, *_native_problems(data)]


def _symbol_problems(index: int, account: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Problem]:
    wanted, ignored = account.get("symbols"), account.get("ignore_symbols")
    if not isinstance(wanted, list) or not isinstance(ignored, list):
        return
    by_contract = {_contract(symbol): symbol for symbol in wanted if isinstance(symbol, str)}
    for symbol in ignored:
        if isinstance(symbol, str) and (also := by_contract.get(_contract(symbol))) is not None:
            loc = ("accounts", index, "ignore_symbols")
            same = f' (as "{also}")' if also != symbol else ""
            text = f'"{symbol}" stands in symbols{same} too; take it out of one of the two'
            yield Problem(loc, f"{key_text(loc, data)}: {text}")


def _native_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What a venue's own trailing stop cannot do."""
    protection = data.get("protection")
    if not isinstance(protection, dict) or protection.get("trailing") != "native":
        return
    for key in ("trailing_steps", "trailing_break_even_percent"):
        value = protection.get(key)
        if value and value != "0":
            loc = ("protection", key)
            text = 'not with trailing = "native": the venue follows with one callback; take it out, or write trailing = "own"'
            yield Problem(loc, f"{key_text(loc, data)}: {text}")
    accounts = [one for one in data["accounts"] if isinstance(one, dict)]
    callback = _decimal_or_none(protection.get("trailing_callback_percent", "0.5"))
    if callback is None or not any(one.get("venue") == "binanceusdm" for one in accounts):
        return
    if not _NATIVE_CALLBACKS[0] <= callback <= _NATIVE_CALLBACKS[1]:
        loc = ("protection", "trailing_callback_percent")
        text = 'Binance follows with 0.1 to 10 percent; write one of these, or trailing = "own"'
        yield Problem(loc, f"{key_text(loc, data)} = {callback}: {text}")


def _decimal_or_none(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _contract(symbol: str) -> str:
    """One text for both ways to write a perpetual (``BTCUSDT``, ``BTC/USDT:USDT``); a dated contract is its own."""
    settle = symbol.partition(":")[2]
    return symbol if "-" in settle else normalize_symbol(symbol)


def raise_problems(problems: list[Problem], path: Path, lines: KeyLines) -> None:
    """One `ConfigurationError` with all of them, if there are any."""
    if not problems:
        return
    told = sorted(((lines.of(problem.loc), problem.text) for problem in problems), key=lambda item: item[0] or 0)
    texts = [f"line {line}: {text}" if line is not None else text for line, text in told]
    if len(texts) == 1:
        raise ConfigurationError(f"{path}, {texts[0]}")
    listed = "\n".join(f"  {text}" for text in texts)
    raise ConfigurationError(f"{path}: {len(texts)} problems\n{listed}")
