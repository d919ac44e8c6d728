"""What a good configuration says, and what holds when it says nothing."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pydantic
import pytest
from config_texts import ACCOUNT, CONTRACT, account

from trueup.config import (
    AccountSettings,
    AdoptPolicy,
    HostPort,
    ProtectionSettings,
    Settings,
    SyncSettings,
    TrailingKind,
    TriggerBy,
    UnprotectableAction,
    config_path,
    load_settings,
    parse_settings,
)
from trueup.model.errors import ConfigurationError
from trueup.model.events import Severity
from trueup.model.positions import AccountMode

HERE = Path("trueup.toml")


def parse(text: str, environ: dict[str, str] | None = None, path: Path = HERE) -> Settings:
    return parse_settings(text, path, environ or {})


def test_the_contracts_example_is_valid_and_says_the_defaults() -> None:
    written, silent = parse(CONTRACT), parse(ACCOUNT)

    assert written.sync == silent.sync == SyncSettings()
    assert written.protection == silent.protection == ProtectionSettings()
    assert written.http == silent.http
    assert written.store == silent.store
    assert written.alerts.min_severity is silent.alerts.min_severity is Severity.WARNING
    assert silent.alerts.urls == ()


def test_every_default_of_the_contract() -> None:
    settings = parse(ACCOUNT)

    assert settings.sync.model_dump() == {
        "audit_interval_s": 30.0,
        "orders_every": 4,
        "new_row_grace_s": 60.0,
        "confirm_after_s": 30.0,
        "confirm_snapshots": 2,
        "mass_close_fraction": Decimal("0.3"),
        "mass_close_window_s": 600.0,
    }
    assert settings.protection.model_dump() == {
        "stop_loss_percent": Decimal("5.0"),
        "trigger_by": TriggerBy.MARK,
        "trailing_activation_percent": Decimal("1.5"),
        "trailing_callback_percent": Decimal("0.5"),
        "trailing": TrailingKind.OWN,
        "trailing_steps": (),
        "trailing_break_even_percent": Decimal("0"),
        "trailing_update_s": 5.0,
        "trailing_min_move_percent": Decimal("0.05"),
        "grace_s": 10.0,
        "on_unprotectable": UnprotectableAction.ALERT,
        "protect_adopted": False,
    }
    assert settings.http.listen == HostPort("127.0.0.1", 9464)
    main = settings.account("main")
    assert (main.mode, main.adopt, main.adopt_after_s) == (AccountMode.OBSERVE, AdoptPolicy.ADOPT, 0.0)
    assert (main.symbols, main.ignore_symbols) == ((), ())
    assert (main.proxy, main.rest_url, main.ws_url) == (None, None, None)


@pytest.mark.parametrize("written", ['"5.10"', "5.10"])
def test_a_percentage_keeps_its_own_digits_quoted_or_not(written: str) -> None:
    settings = parse(f"[protection]\nstop_loss_percent = {written}\n{ACCOUNT}")

    assert str(settings.protection.stop_loss_percent) == "5.10"


def test_a_share_is_exact_although_toml_writes_it_as_a_float() -> None:
    assert parse(f"[sync]\nmass_close_fraction = 0.1\n{ACCOUNT}").sync.mass_close_fraction == Decimal("0.1")


@pytest.mark.parametrize("key", ["audit_interval_s", "new_row_grace_s", "confirm_after_s", "mass_close_window_s"])
@pytest.mark.parametrize(("written", "seconds"), [("0", 0.0), ("0.0", 0.0), ("0.25", 0.25), ("90", 90.0)])
def test_durations_may_be_zero_and_fractions(key: str, written: str, seconds: float) -> None:
    assert getattr(parse(f"[sync]\n{key} = {written}\n{ACCOUNT}").sync, key) == seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('""', None),
        ('"127.0.0.1:0"', HostPort("127.0.0.1", 0)),
        ('"[::1]:9464"', HostPort("::1", 9464)),
        ('"0.0.0.0:80"', HostPort("0.0.0.0", 80)),
    ],
)
def test_listen(written: str, expected: HostPort | None) -> None:
    assert parse(f"[http]\nlisten = {written}\n{ACCOUNT}").http.listen == expected


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("rest_url", "https://testnet.example.com/base"),
        ("rest_url", "http://127.0.0.1:9001"),
        ("rest_url", "http://127.8.8.8"),
        ("rest_url", "http://localhost:9001"),
        ("rest_url", "http://[::1]:9001"),
        ("ws_url", "wss://stream.example.com"),
        ("ws_url", "ws://127.0.0.1:9001"),
    ],
)
def test_endpoints_that_keep_keys_off_the_open_network(key: str, url: str) -> None:
    assert getattr(parse(account(**{key: f'"{url}"'})).account("main"), key) == url


def test_the_path_is_the_named_one_then_the_variable_then_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("named", "variable", "trueup"):
        Path(f"{name}.toml").write_text(account(name=f'"{name}"'), encoding="utf-8")

    assert load_settings(Path("named.toml"), {"TRUEUP_CONFIG": "variable.toml"}).account_names == ("named",)
    assert load_settings(None, {"TRUEUP_CONFIG": "variable.toml"}).account_names == ("variable",)
    assert load_settings(None, {}).account_names == ("trueup",)
    assert config_path(None, {"TRUEUP_CONFIG": "~/x.toml"}) == Path.home() / "x.toml"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("sqlite:///trueup.db", "sqlite:////srv/bot/trueup.db"),
        ("sqlite:///data/t.db?timeout=5", "sqlite:////srv/bot/data/t.db?timeout=5"),
        ("sqlite:////var/lib/t.db", "sqlite:////var/lib/t.db"),
        ("sqlite+aiosqlite:///t.db", "sqlite+aiosqlite:////srv/bot/t.db"),
        ("postgresql://bob@db:5432/book", "postgresql://bob@db:5432/book"),
        ("postgres://bob@db/book", "postgresql://bob@db/book"),
    ],
)
def test_a_relative_store_lies_beside_the_configuration(written: str, expected: str) -> None:
    path = Path("/srv/bot/trueup.toml")

    literal = parse(f'[store]\nurl = "{written}"\n{ACCOUNT}', path=path)
    indirect = parse(f'[store]\nurl = "env:DATABASE_URL"\n{ACCOUNT}', {"DATABASE_URL": written}, path)

    assert literal.store_url().reveal() == indirect.store_url().reveal() == expected


def test_settings_cannot_be_changed() -> None:
    settings = parse(ACCOUNT)

    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.sync.orders_every = 9  # type: ignore[misc]


def test_settings_can_be_built_from_values() -> None:
    main = AccountSettings(name="a", venue="bybit", api_key="env:K", api_secret="env:S")
    settings = Settings(accounts=(main,))

    assert settings.base == Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"K": "k-value", "S": "s-value"})
        assert Settings(accounts=(main,)).secret("a", "api_key").reveal() == "k-value"
    assert settings.account("a") is main


def test_an_unknown_account_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r'no account "mian" \(did you mean "main"\?\).* it has: main'):
        parse(ACCOUNT).account("mian")


def test_steps_are_exact_pairs() -> None:
    settings = parse(f'[protection]\ntrailing_steps = [["3.0", "0.4"], [5, 0.2]]\n{ACCOUNT}')
    assert settings.protection.trailing_steps == ((Decimal("3.0"), Decimal("0.4")), (Decimal("5"), Decimal("0.2")))


def test_a_byte_order_mark_before_the_text_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trueup.toml"
    path.write_text(ACCOUNT, encoding="utf-8-sig")
    assert load_settings(path, {}).accounts == parse(ACCOUNT).accounts
