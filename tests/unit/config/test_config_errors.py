"""Everything that can be wrong with a configuration: key, line, value, what is expected, the mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_texts import ACCOUNT, account

from trueup.config import load_settings, parse_settings
from trueup.model.errors import ConfigurationError


def error_of(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(text, Path("trueup.toml"), {})
    return str(caught.value)


FIELDS = [
    ("sync", "audit_interval_s", "-1", ["= -1", "a number from 0"]),
    ("sync", "audit_interval_s", '"30"', ['= "30"', "a number from 0"]),
    ("sync", "audit_interval_s", "true", ["= true", "a number from 0"]),
    ("sync", "audit_interval_s", "inf", ["a number from 0"]),
    ("sync", "audit_interval_s", "1e400", ["a number from 0 to 31536000 (a year)"]),
    ("sync", "audit_interval_s", "nan", ["a number from 0"]),
    ("sync", "orders_every", "0", ["= 0", "whole number from 1"]),
    ("sync", "orders_every", "1.5", ["= 1.5", "whole number from 1"]),
    ("sync", "confirm_snapshots", "true", ["= true", "whole number from 1"]),
    ("sync", "mass_close_fraction", "1.01", ["= 1.01", "between 0 and 1"]),
    ("sync", "mass_close_fraction", "-0.1", ["= -0.1", "between 0 and 1"]),
    ("sync", "mass_close_fraction", '"a third"', ["a third", "between 0 and 1"]),
    ("protection", "stop_loss_percent", '"5%"', ['= "5%"', "leave the sign out"]),
    ("protection", "stop_loss_percent", '"0"', ['= "0"', "above 0"]),
    ("protection", "stop_loss_percent", "100", ["= 100", "below 100"]),
    ("protection", "stop_loss_percent", '"NaN"', ["percentage"]),
    ("protection", "trailing_activation_percent", '"-1"', ["from 0"]),
    ("protection", "trailing", '"on"', ["one of own, native, off"]),
    ("protection", "trailing_steps", '"3.0"', ["pairs of percentages"]),
    ("protection", "trailing_steps", '[["3.0"]]', ["pairs of percentages"]),
    ("protection", "trailing_steps", '[["3.0", "0"]]', ["above 0"]),
    ("protection", "trailing_steps", '[["3.0", "0.4"], ["3.0", "0.2"]]', ["at a higher profit"]),
    ("protection", "trailing_steps", '[["3.0", "0.4"], ["4.0", "0.4"]]', ["a smaller callback"]),
    ("protection", "trailing_update_s", '"5"', ["a number from 0"]),
    ("protection", "trailing_min_move_percent", '"-1"', ["from 0"]),
    ("protection", "trigger_by", '"index"', ["one of mark, last"]),
    ("protection", "on_unprotectable", '"alarm"', ["one of alert, close", 'did you mean "alert"?']),
    ("protection", "protect_adopted", '"no"', ['= "no"', "true or false, without quotes"]),
    ("protection", "protect_adopted", "1", ["true or false"]),
    ("protection", "grace_s", "-0.5", ["= -0.5", "a number from 0"]),
    ("alerts", "urls", '"tgram://x"', ["expected a list"]),
    ("alerts", "urls", '["not a url"]', ["apprise URL"]),
    ("alerts", "urls", "[3]", ["apprise URL"]),
    ("alerts", "min_severity", '"warn"', ["one of info, warning, error, critical", 'did you mean "warning"?']),
    ("http", "listen", '"9464"', ["host:port"]),
    ("http", "listen", '"127.0.0.1:99999"', ["host:port"]),
    ("http", "listen", "9464", ["= 9464", "host:port"]),
    ("store", "url", '"mysql://db/book"', ["sqlite:///FILE", "postgresql://"]),
    ("store", "url", '"sqlite:///"', ['a file after "sqlite:///"']),
    ("store", "url", '"postgresql://db"', ["name of a database"]),
    ("store", "url", '"env:"', ["name of an environment variable"]),
    ("store", "url", "7", ["env:NAME"]),
]


@pytest.mark.parametrize(("section", "key", "value", "said"), FIELDS)
def test_an_impossible_value_names_line_key_and_what_is_expected(
    section: str, key: str, value: str, said: list[str]
) -> None:
    error = error_of(f"# a comment\n[{section}]\n{key} = {value}\n{ACCOUNT}")

    assert error.startswith(f"trueup.toml, line 3: {section}.{key}")
    for words in said:
        assert words in error


ACCOUNT_FIELDS = [
    ("name", '""', ["a name of 1 to 63"]),
    ("name", '"has space"', ["a name of 1 to 63"]),
    ("venue", '"binance"', ['= "binance"', "binanceusdm, bybit", 'did you mean "binanceusdm"?']),
    ("venue", '"okx"', ['= "okx"', "binanceusdm, bybit"]),
    ("mode", '"observer"', ["observe, sync, protect", 'did you mean "observe"?']),
    ("adopt", '"yes"', ["adopt, hold, ignore"]),
    ("adopt_after_s", "-3", ["= -3", "a number from 0"]),
    ("symbols", '"BTC/USDT:USDT"', ["a list of symbols"]),
    ("symbols", "[1]", ["a list of symbols"]),
    ("symbols", '[" BTCUSDT"]', ["a list of symbols"]),
    ("api_key", '"env:1X"', ["name of an environment variable"]),
    ("api_key", '"file:"', ["path of a file"]),
    ("api_key", "12", ['"env:NAME" or "file:PATH"']),
    ("rest_url", '"http://fapi.example.com"', ["in the clear", "https://"]),
    ("rest_url", '"http://127.0.0.1.example.com"', ["in the clear"]),
    ("rest_url", '"ftp://127.0.0.1"', ["https://HOST"]),
    ("rest_url", '"fapi.example.com"', ["https://HOST"]),
    ("ws_url", '"ws://stream.example.com"', ["in the clear", "wss://"]),
    ("ws_url", '"https://stream.example.com"', ["wss://HOST"]),
    ("proxy", '"ftp://proxy"', ["http, https, socks5"]),
    ("proxy", '"127.0.0.1:3128"', ["http, https, socks5"]),
]


@pytest.mark.parametrize(("key", "value", "said"), ACCOUNT_FIELDS)
def test_an_impossible_value_of_an_account(key: str, value: str, said: list[str]) -> None:
    error = error_of(account(**{key: value}))

    assert f": {key}" in error
    assert "account " in error
    for words in said:
        assert words in error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[sync]\naudit_intervall_s = 30\n{ACCOUNT}", "sync.audit_intervall_s = 30: unknown key; did you mean audit_"),
        (f"[sync]\ngrace_s = 1\n{ACCOUNT}", "sync.grace_s = 1: unknown key; it belongs to [protection]"),
        (f"audit_interval_s = 1\n{ACCOUNT}", "audit_interval_s = 1: unknown key; it belongs to [sync]"),
        (f"[synch]\norders_every = 1\n{ACCOUNT}", "synch = {...}: unknown key; did you mean sync?"),
        (f"{ACCOUNT}stop = true\n", 'account "main": stop = true: unknown key; known here: name, venue'),
        (f'{ACCOUNT}api_kee = "zzz"\n', 'account "main": api_kee: unknown key; did you mean api_key?'),
        (f"sync = 3\n{ACCOUNT}", "sync = 3: expected a section [sync]"),
        ("[accounts]\nname = 'main'\n", "accounts = {...}: expected sections [[accounts]]"),
        ("", "there is no account; add an [[accounts]] section"),
        ("accounts = []\n", "there is no account"),
        ("accounts = [3]\n", "expected sections [[accounts]]"),
        (account(api_key=""), 'account "main": api_key is missing; add a line such as api_key = "env:BINANCE_KEY"'),
        (account(name=""), 'account number 1: name is missing; add a line such as name = "main"'),
        (account() + account(), 'account "main": name: another account has this name'),
        ("a = \n", "trueup.toml is not TOML: Invalid value (at line 1, column 5)"),
        ("[sync]\n[sync]\n", "is not TOML"),
    ],
)
def test_wrong_structure(text: str, said: str) -> None:
    assert said in error_of(text)


@pytest.mark.parametrize(
    ("wanted", "ignored", "conflict"),
    [
        ("BTC/USDT:USDT", "BTC/USDT:USDT", True),
        ("BTC/USDT:USDT", "BTCUSDT", True),
        ("BTCUSDT", "BTC/USDT:USDT", True),
        ("BTC/USDT:USDT", "BTC/USDT:USDT-261225", False),
        ("BTC/USDT:USDT-261225", "BTCUSDT", False),
        ("BTC/USDT:USDT", "ETHUSDT", False),
    ],
)
def test_a_symbol_both_wanted_and_ignored(wanted: str, ignored: str, conflict: bool) -> None:
    text = account(symbols=f'["ADAUSDT", "{wanted}"]', ignore_symbols=f'[\n"XRPUSDT",\n"{ignored}"]')

    if conflict:
        assert f'ignore_symbols: "{ignored}" stands in symbols' in error_of(text)
    else:
        assert parse_settings(text, Path("t.toml"), {}).account("main").ignore_symbols[1] == ignored


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    error = error_of(
        f"[sync]\norders_every = 0\nnonsense = 1\n\n[http]\nlisten = 'x'\n{account()}\n{account(venue=chr(34) + 'x' + chr(34))}"
    )

    head, *told = error.splitlines()
    assert head == "trueup.toml: 5 problems"
    assert [row.split(":")[0].strip() for row in told] == ["line 2", "line 3", "line 6", "line 14", "line 15"]
    assert "name: another account has this name" in told[3]


def test_a_missing_file_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match=r"trueup\.toml in this folder.*`trueup init`.*TRUEUP_CONFIG"):
        load_settings(None, {})
    with pytest.raises(ConfigurationError, match=r"at elsewhere\.toml"):
        load_settings(Path("elsewhere.toml"), {})
    with pytest.raises(ConfigurationError, match="is a folder"):
        load_settings(tmp_path, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "trueup.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_settings(path, {})


@pytest.mark.parametrize(
    ("keys", "venue", "said"),
    [
        (
            'trailing_callback_percent = "0.05"',
            "binanceusdm",
            "trailing_callback_percent = 0.05: Binance follows with 0.1 to 10",
        ),
        ('trailing_callback_percent = "10.5"', "binanceusdm", "Binance follows with 0.1 to 10 percent"),
        ('trailing_steps = [["3.0", "0.4"]]', "bybit", 'trailing_steps: not with trailing = "native"'),
        ('trailing_break_even_percent = "1"', "bybit", 'trailing_break_even_percent: not with trailing = "native"'),
    ],
)
def test_what_a_venues_own_trailing_stop_cannot_do(keys: str, venue: str, said: str) -> None:
    of_venue = account(venue=f'"{venue}"')
    assert said in error_of(f'[protection]\ntrailing = "native"\n{keys}\n{of_venue}')
    parse_settings(f"[protection]\n{keys}\n{of_venue}", Path("trueup.toml"), {})


def test_a_callback_that_binance_cannot_follow_with_is_bybits_choice() -> None:
    text = f'[protection]\ntrailing = "native"\ntrailing_callback_percent = "0.05"\n{account(venue=chr(34) + "bybit" + chr(34))}'
    assert parse_settings(text, Path("trueup.toml"), {}).protection.trailing.value == "native"
