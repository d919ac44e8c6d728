"""The configuration: `load_settings` reads it, `Settings` is it.

See docs/configuration.md for every key.
"""

from __future__ import annotations

from trueup.config.fields import SUPPORTED_VENUES, AdoptPolicy, HostPort, TrailingKind, TriggerBy, UnprotectableAction
from trueup.config.load import CONFIG_VARIABLE, DEFAULT_PATH, config_path, load_settings, parse_settings
from trueup.config.secrets import Secret, SecretRef
from trueup.config.settings import (
    AccountSettings,
    AlertSettings,
    HttpSettings,
    ProtectionSettings,
    Settings,
    StoreSettings,
    SyncSettings,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_PATH",
    "SUPPORTED_VENUES",
    "AccountSettings",
    "AdoptPolicy",
    "AlertSettings",
    "HostPort",
    "HttpSettings",
    "ProtectionSettings",
    "Secret",
    "SecretRef",
    "Settings",
    "StoreSettings",
    "SyncSettings",
    "TrailingKind",
    "TriggerBy",
    "UnprotectableAction",
    "config_path",
    "load_settings",
    "parse_settings",
]
