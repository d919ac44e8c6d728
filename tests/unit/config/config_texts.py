"""Configurations as text."""

from __future__ import annotations

ACCOUNT = """
[[accounts]]
name = "main"
venue = "binanceusdm"
api_key = "env:BINANCE_KEY"
api_secret = "env:BINANCE_SECRET"
"""

CONTRACT = """\
[store]
url = "sqlite:///trueup.db"

[sync]
audit_interval_s = 30
orders_every = 4
new_row_grace_s = 60
confirm_after_s = 30
confirm_snapshots = 2
mass_close_fraction = 0.3
mass_close_window_s = 600

[protection]
stop_loss_percent = "5.0"
trigger_by = "mark"
trailing_activation_percent = "1.5"
trailing_callback_percent = "0.5"
grace_s = 10
on_unprotectable = "alert"
protect_adopted = false

[alerts]
urls = ["env:TRUEUP_ALERT_URL"]
min_severity = "warning"

[http]
listen = "127.0.0.1:9464"

[[accounts]]
name = "main"
venue = "binanceusdm"
mode = "observe"
api_key = "env:BINANCE_KEY"
api_secret = "env:BINANCE_SECRET"
adopt = "adopt"
adopt_after_s = 0
symbols = []
ignore_symbols = []
proxy = "http://127.0.0.1:3128"
rest_url = "http://127.0.0.1:9001"
ws_url = "ws://127.0.0.1:9001"
"""


def account(**lines: str) -> str:
    """An account section with these lines (TOML text) set or replaced; `None`-like text "" removes one."""
    values = {
        "name": '"main"',
        "venue": '"binanceusdm"',
        "api_key": '"env:BINANCE_KEY"',
        "api_secret": '"env:BINANCE_SECRET"',
    } | lines
    return "[[accounts]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)
