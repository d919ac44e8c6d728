"""A secret is never seen: not in an error, not in a repr, not in a text that passed the redactor."""

from __future__ import annotations

import json
import pickle
import string
import traceback
from pathlib import Path

import pytest
from config_texts import ACCOUNT, account
from hypothesis import given
from hypothesis import strategies as st

from trueup.config import Secret, SecretRef, Settings, parse_settings
from trueup.config.secrets import Redactor, hide_userinfo
from trueup.model.errors import ConfigurationError

HERE = Path("trueup.toml")
TOKEN = "AbCdEf0123456789AbCdEf0123456789"


def test_a_literal_key_is_refused_with_the_mend_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(account(api_key=f'"{TOKEN}"'), HERE, {})

    error = str(caught.value)
    assert 'line 4: account "main": api_key' in error
    assert "a literal key is refused" in error
    assert "env:NAME" in error
    assert "file:PATH" in error
    assert TOKEN not in error


_token = st.text(alphabet=string.ascii_letters + string.digits, min_size=20, max_size=64).filter(
    lambda text: any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
)
_PLACES = st.sampled_from(
    [
        ("", "api_key = {}"),
        ("", "api_secret = {}"),
        ("", "apikey = {}"),
        ("", "secret = {}"),
        ("", "passphrase = {}"),
        ("", "whatever = {}"),
        ("", "venue = {}"),
        ("", "mode = {}"),
        ("", "symbols = {}"),
        ("", "proxy = {}"),
        ("", "rest_url = {}"),
        ("[store]\n", "url = {}"),
        ("[alerts]\n", "urls = [{}]"),
        ("[alerts]\n", "urls = {}"),
        ("[alerts]\n", "tokn = {}"),
        ("[http]\n", "listen = {}"),
        ("", "api_key = [{}]"),
        ("", "api_key = {{ value = {} }}"),
    ]
)
_SHAPES = st.sampled_from(["{}", "mysql://user:{}@db/x", "http://{}@proxy.example.com", "tgram//{}"])


@given(token=_token, place=_PLACES, shape=_SHAPES)
def test_no_error_shows_what_may_be_a_secret(token: str, place: tuple[str, str], shape: str) -> None:
    head, template = place
    written = template.format('"' + shape.format(token) + '"')
    key = written.split(" ")[0]
    text = f"{head}{written}\n{ACCOUNT}" if head else account(**{key: ""}) + written + "\n"

    try:
        settings = parse_settings(text, HERE, {})
    except ConfigurationError as error:
        shown = "".join(traceback.format_exception(error))
    else:
        shown = repr(settings) + str(settings) + settings.store_label

    assert token not in shown


@given(token=_token)
def test_settings_never_show_what_they_hold_or_read(token: str) -> None:
    text = (
        f'[store]\nurl = "postgresql://bob:{token}@db/book"\n[alerts]\nurls = ["tgram://{token}/chat", "env:URL"]\n'
        + account(proxy=f'"http://bob:{token}@127.0.0.1:3128"')
    )
    settings = parse_settings(text, HERE, {"BINANCE_KEY": token, "URL": f"json://{token}"})
    secrets = [settings.secret("main", "api_key"), settings.secret("main", "proxy"), settings.store_url()]
    secrets += settings.alert_urls()

    assert all(token in secret.reveal() for secret in secrets)
    for shown in (
        repr(settings),
        str(settings),
        repr(secrets),
        f"{secrets[0]} {secrets[0]:>20}",
        settings.store_label,
        str(settings.model_dump()),
    ):
        assert token not in shown
    assert token not in settings.redact(f"could not connect to postgresql://bob:{token}@db/book as {token}")


def test_an_unset_variable_names_account_key_and_variable() -> None:
    settings = parse_settings(ACCOUNT, HERE, {"BINANCE_SECRET": "  "})

    with pytest.raises(ConfigurationError, match=r'account "main": api_key .*BINANCE_KEY, which is not set'):
        settings.secret("main", "api_key")
    with pytest.raises(ConfigurationError, match=r'account "main": api_secret .*BINANCE_SECRET, which is empty'):
        settings.secret("main", "api_secret")


def test_secrets_are_read_when_asked_for_and_not_before() -> None:
    environ: dict[str, str] = {}
    settings = parse_settings(ACCOUNT, HERE, environ)

    environ["BINANCE_KEY"] = "later"

    assert settings.secret("main", "api_key") == Secret("later")


def test_a_file_is_read_beside_the_configuration_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-value\n", encoding="utf-8")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    text = account(api_key='"file:key"', api_secret='"file:empty"', proxy='"file:missing"')
    settings = parse_settings(text, tmp_path / "trueup.toml", {})

    assert settings.secret("main", "api_key").reveal() == "k-value"
    with pytest.raises(ConfigurationError, match=r'account "main": api_secret .*empty, which is empty'):
        settings.secret("main", "api_secret")
    with pytest.raises(ConfigurationError, match=r'account "main": proxy .*missing: No such file'):
        settings.secret("main", "proxy")


def test_a_store_that_is_none_is_told_without_its_url() -> None:
    settings = parse_settings(
        f'[store]\nurl = "env:DATABASE_URL"\n{ACCOUNT}', HERE, {"DATABASE_URL": f"mysql://{TOKEN}@x"}
    )

    with pytest.raises(ConfigurationError, match="env:DATABASE_URL, is no store") as caught:
        settings.store_url()
    assert TOKEN not in str(caught.value)


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("hidden-value")

    assert "hidden" not in f"{secret} {secret!r} {secret!s} {secret:>40} {[secret]}"
    assert secret == Secret("hidden-value")
    assert secret != "hidden-value"
    assert hash(secret) != hash("hidden-value")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)


def test_a_literal_reference_hides_its_text() -> None:
    assert "hidden" not in repr(SecretRef.parse("hidden-value"))
    assert repr(SecretRef.parse("env:NAME")) == "SecretRef(env:NAME)"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://bob:pa@ss@db/book?password=x", "postgresql://***@db/book"),
        ("postgresql://db/book", "postgresql://db/book"),
        ("sqlite:///data/trueup.db", "sqlite:///data/trueup.db"),
        ("https://token@host:8080", "https://***@host:8080"),
        ("postgresql://bob:p/a?s#s@db/book", "postgresql://***@db/book"),
        ("postgresql://bob:x@db/b%ok", "postgresql://***"),
        ("no url", "***"),
    ],
)
def test_a_url_for_people(url: str, shown: str) -> None:
    assert hide_userinfo(url) == shown


@given(user=st.text(min_size=1), password=st.text(min_size=6), query=st.text())
def test_no_url_for_people_shows_its_password(user: str, password: str, query: str) -> None:
    shown = hide_userinfo(f"postgresql://{user}:{password}@db/book?{query}")

    assert password not in shown or password in "postgresql://***@db/book"


def test_the_redactor_knows_the_password_alone() -> None:
    redactor = Redactor()
    redactor.add(Secret("postgresql://bob:hunter22@db/book"))
    redactor.add(Secret("abc"))

    assert redactor.clean("bob hunter22 abc") == "bob *** abc"
    assert "hunter22" not in repr(redactor)


_FEW_LETTERS = st.text(
    alphabet="abc/", min_size=4, max_size=40
)  # of so few that secrets overlap, hold and begin each other


@given(
    secrets=st.lists(_FEW_LETTERS, max_size=6),
    before=st.text(alphabet="abc/*"),
    parts=st.lists(st.integers(0, 5), max_size=4),
)
def test_the_redactor_leaves_no_secret_and_touches_nothing_else(
    secrets: list[str], before: str, parts: list[int]
) -> None:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(Secret(secret))
    text = before + "/".join(secrets[part] for part in parts if part < len(secrets))

    cleaned = redactor.clean(text)

    assert not any(secret in cleaned for secret in secrets)
    assert (cleaned == text) == (not any(secret in text for secret in secrets))


def test_the_redactor_strikes_out_what_it_is_told_of_later() -> None:
    redactor = Redactor()
    redactor.add(Secret("a-long-secret-of-the-first-account"))
    assert redactor.clean("key: pass") == "key: pass"

    redactor.add(Secret("pass"))

    assert redactor.clean("key: pass") == "key: ***"


def test_the_redactor_knows_a_secret_as_json_writes_it() -> None:
    redactor = Redactor()
    odd = 'pa"ss\\wörd'
    redactor.add(Secret(odd))

    assert redactor.clean(json.dumps({"a": odd})) == '{"a": "***"}'
    assert redactor.clean(json.dumps({"a": odd}, ensure_ascii=False)) == '{"a": "***"}'


def test_settings_of_one_file_do_not_know_anothers_secrets() -> None:
    first = parse_settings(ACCOUNT, HERE, {"BINANCE_KEY": "first-key"})
    second: Settings = parse_settings(ACCOUNT, HERE, {"BINANCE_KEY": "second-key"})
    first.secret("main", "api_key")
    second.secret("main", "api_key")

    assert first.redact("first-key second-key") == "*** second-key"
