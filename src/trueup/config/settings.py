"""The configuration as frozen, typed values: what `trueup.toml` may say and what holds when it says nothing.

1. Every key and default is here once; an unknown key is an error, never ignored.
2. Settings are immutable. Secrets are references until `secret`, `store_url` or `alert_urls` is asked for them.
3. Whatever was resolved through these settings can be struck out of a text by `redact`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from trueup.config.fields import (
    AccountName,
    AdoptPolicy,
    AdoptWord,
    AlertUrl,
    Count,
    Fraction,
    HostPort,
    KeyReference,
    ListenAddress,
    ModeWord,
    Percent,
    PercentOrZero,
    ProxyUrl,
    RestUrl,
    Seconds,
    SeverityWord,
    StoreUrl,
    StreamUrl,
    Symbols,
    TrailingKind,
    TrailingSteps,
    TrailingWord,
    TriggerBy,
    TriggerWord,
    UnprotectableAction,
    UnprotectableWord,
    VenueName,
    YesNo,
    did_you_mean,
    store_url_problem,
)
from trueup.config.secrets import Redactor, Secret, SecretKind, SecretRef, hide_userinfo
from trueup.model.errors import ConfigurationError
from trueup.model.events import Severity
from trueup.model.positions import AccountMode

__all__ = [
    "AccountSettings",
    "AlertSettings",
    "HttpSettings",
    "ProtectionSettings",
    "Settings",
    "StoreSettings",
    "SyncSettings",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StoreSettings(_Section):
    """Where the book is. Ask `Settings.store_url` for the URL itself."""

    url: StoreUrl = SecretRef(SecretKind.LITERAL, "sqlite:///trueup.db")


class SyncSettings(_Section):
    """When to look, and when absence may be believed. Durations in seconds; `mass_close_fraction` is a share of 1."""

    audit_interval_s: Seconds = 30.0
    orders_every: Count = 4
    new_row_grace_s: Seconds = 60.0
    confirm_after_s: Seconds = 30.0
    confirm_snapshots: Count = 2
    mass_close_fraction: Fraction = Decimal("0.3")
    mass_close_window_s: Seconds = 600.0


class ProtectionSettings(_Section):
    """The stops that trueup keeps. Percentages are of the entry price (profits) or of the peak (callbacks).

    Attributes:
        trailing_steps: Profit and callback pairs, rising and tightening.
        trailing_break_even_percent: 0: the stop does not go to the entry price on its own.
        trailing_update_s: Between two moves of a stop.
        trailing_min_move_percent: Of the stop's price; a smaller move waits.
    """

    stop_loss_percent: Percent = Decimal("5.0")
    trigger_by: TriggerWord = TriggerBy.MARK
    trailing_activation_percent: PercentOrZero = Decimal("1.5")
    trailing_callback_percent: Percent = Decimal("0.5")
    trailing: TrailingWord = TrailingKind.OWN
    trailing_steps: TrailingSteps = ()
    trailing_break_even_percent: PercentOrZero = Decimal("0")
    trailing_update_s: Seconds = 5.0
    trailing_min_move_percent: PercentOrZero = Decimal("0.05")
    grace_s: Seconds = 10.0
    on_unprotectable: UnprotectableWord = UnprotectableAction.ALERT
    protect_adopted: YesNo = False


class AlertSettings(_Section):
    """Whom to tell. Ask `Settings.alert_urls` for the URLs themselves: they hold tokens."""

    urls: tuple[AlertUrl, ...] = ()
    min_severity: SeverityWord = Severity.WARNING


class HttpSettings(_Section):
    """Where `run` answers /metrics and /health; None: nowhere."""

    listen: ListenAddress = HostPort("127.0.0.1", 9464)


class AccountSettings(_Section):
    """One account on one venue.

    Attributes:
        symbols: Empty: all.
        ignore_symbols: Never looked at, never touched.
        rest_url, ws_url: Replace every host of the venue; None: the venue's own.
    """

    name: AccountName
    venue: VenueName
    mode: ModeWord = AccountMode.OBSERVE
    api_key: KeyReference
    api_secret: KeyReference
    adopt: AdoptWord = AdoptPolicy.ADOPT
    adopt_after_s: Seconds = 0.0
    symbols: Symbols = ()
    ignore_symbols: Symbols = ()
    proxy: ProxyUrl | None = None
    rest_url: RestUrl | None = None
    ws_url: StreamUrl | None = None


class Settings(_Section):
    """The whole configuration. `load_settings` makes it from a file; tests may build it from values.

    Attributes:
        path: The file it was read from; relative paths in it start from that file's folder. None: the current folder.
    """

    store: StoreSettings = StoreSettings()
    sync: SyncSettings = SyncSettings()
    protection: ProtectionSettings = ProtectionSettings()
    alerts: AlertSettings = AlertSettings()
    http: HttpSettings = HttpSettings()
    accounts: tuple[AccountSettings, ...]

    _path: Path | None = PrivateAttr(default=None)
    _environ: Mapping[str, str] = PrivateAttr(default_factory=lambda: os.environ)
    _redactor: Redactor = PrivateAttr(default_factory=Redactor)

    @classmethod
    def build(cls, data: Mapping[str, Any], *, path: Path | None, environ: Mapping[str, str]) -> Settings:
        """From parsed TOML. Use `load_settings`, which turns what is wrong into one readable error."""
        settings = cls.model_validate(data)
        settings._path, settings._environ = path, environ
        return settings

    @property
    def path(self) -> Path | None:
        return self._path

    @property
    def base(self) -> Path:
        """Where relative paths start: the configuration's folder."""
        return self._path.parent.resolve() if self._path is not None else Path.cwd()

    @property
    def account_names(self) -> tuple[str, ...]:
        return tuple(account.name for account in self.accounts)

    def account(self, name: str) -> AccountSettings:
        """The account of that name.

        Raises:
            ConfigurationError: There is none; the text lists those that are.
        """
        for account in self.accounts:
            if account.name == name:
                return account
        near = did_you_mean(name, self.account_names)
        hint = f' (did you mean "{near}"?)' if near else ""
        where = self._path or "the configuration"
        raise ConfigurationError(f'no account "{name}"{hint} in {where}; it has: {", ".join(self.account_names)}')

    def secret(self, account: str, key: str) -> Secret:
        """Reads a secret of an account now: `key` is ``"api_key"``, ``"api_secret"`` or ``"proxy"``.

        Raises:
            ConfigurationError: It cannot be read; the text names account, key and variable or file.
        """
        reference = getattr(self.account(account), key)
        if not isinstance(reference, SecretRef):
            raise ConfigurationError(f'account "{account}": {key} is not set')
        return self._resolve(reference, f'account "{account}": {key}')

    def store_url(self) -> Secret:
        """The store's URL, with a relative SQLite file made absolute from the configuration's folder.

        Raises:
            ConfigurationError: The variable or file that it is read from gives nothing, or no store's URL.
        """
        secret = self._resolve(self.store.url, "store.url")
        url = secret.reveal()
        if (problem := store_url_problem(url)) is not None:
            raise ConfigurationError(f"store.url, read from {self.store_label}, is no store: {problem}")
        absolute = Secret(_absolute(url, self.base))
        self._redactor.add(absolute)
        return absolute

    @property
    def store_label(self) -> str:
        """The store for people, without password."""
        reference = self.store.url
        return hide_userinfo(reference.target) if reference.kind is SecretKind.LITERAL else reference.label

    def alert_urls(self) -> tuple[Secret, ...]:
        """The apprise URLs. Raises `ConfigurationError` when one cannot be read."""
        return tuple(self._resolve(url, f"alerts.urls[{index}]") for index, url in enumerate(self.alerts.urls))

    def redact(self, text: str) -> str:
        """The text with `***` in place of every secret that was read through these settings."""
        return self._redactor.clean(text)

    def _resolve(self, reference: SecretRef, where: str) -> Secret:
        secret = reference.resolve(where, environ=self._environ, base=self.base)
        if "://" not in secret.reveal() or "@" in secret.reveal() or where.startswith("alerts"):
            self._redactor.add(secret)
        return secret


def _absolute(url: str, base: Path) -> str:
    """``sqlite:///trueup.db`` means a file beside the configuration, wherever the command was called from."""
    scheme, _, rest = url.partition("://")
    if scheme == "postgres":
        return f"postgresql://{rest}"
    if not scheme.startswith("sqlite") or rest.startswith(("//", "/:memory:")):
        return url
    file, question, query = rest[1:].partition("?")
    return f"{scheme}:///{base / file}{question}{query}"
