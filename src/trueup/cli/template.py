"""The `trueup.toml` that `init` writes: every key with its meaning, defaults commented out.

Uncommented whole, it says exactly what the program does without it (tests/unit/cli/test_init.py holds it to that).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

__all__ = ["DEFAULT_VARIABLES", "Answers", "config_text"]

DEFAULT_VARIABLES = {
    "binanceusdm": ("BINANCE_KEY", "BINANCE_SECRET"),
    "bybit": ("BYBIT_KEY", "BYBIT_SECRET"),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What `init` asks. Keys are references (`env:NAME`, `file:PATH`), never the keys themselves."""

    name: str = "main"
    venue: str = "binanceusdm"
    api_key: str = "env:BINANCE_KEY"
    api_secret: str = "env:BINANCE_SECRET"  # noqa: S105 - names a variable
    store_url: str = "sqlite:///trueup.db"


def config_text(answers: Answers) -> str:
    """A complete configuration in observe mode."""
    return _TEMPLATE.format(
        name=json.dumps(answers.name),
        venue=json.dumps(answers.venue),
        api_key=json.dumps(answers.api_key),
        api_secret=json.dumps(answers.api_secret),
        store_url=json.dumps(answers.store_url),
    )


_TEMPLATE = """\
# Configuration of trueup. A line that begins with "# " and a key shows a default: uncomment it to change it.
# Durations are seconds; percentages are texts such as "5.0". Every key is explained in docs/configuration.md.

[store]
url = {store_url}   # or "postgresql://user@host/database", or "env:DATABASE_URL"

[[accounts]]                  # one such section an account
name = {name}
venue = {venue}         # binanceusdm or bybit
mode = "observe"              # observe: read only · sync: repair the book · protect: also cancel and place orders
api_key = {api_key}     # env:NAME or file:PATH; a key itself is refused here
api_secret = {api_secret}
# adopt = "adopt"             # a venue position that the book lacks: adopt · hold (wait for `trueup approve`) · ignore
# adopt_after_s = 0           # wait this long first, for bots that insert their own rows
# symbols = []                # empty: all
# ignore_symbols = []         # never looked at, never touched
#proxy = "http://127.0.0.1:8080"     # this account's way out, with its own IP and request budget
#rest_url = "https://host"           # replaces every REST host of the venue
#ws_url = "wss://host"               # the same for its streams

[sync]
# audit_interval_s = 30       # how often to look; longer where the venue's limits force it
# orders_every = 4            # the order lists are read every n-th audit while the streams are healthy
# new_row_grace_s = 60        # a row younger than this is not called gone on absence alone
# confirm_after_s = 30        # absence alone: this far apart,
# confirm_snapshots = 2       #   this many complete looks must lack the position
# mass_close_fraction = 0.3   # absence that takes more than this share of an account's positions within
# mass_close_window_s = 600   #   this window waits for a person

[protection]                  # used in mode protect
# stop_loss_percent = "5.0"   # distance from the entry price
# trigger_by = "mark"         # or "last"
# trailing_activation_percent = "1.5"
# trailing_callback_percent = "0.5"
# trailing = "own"            # who follows: own, native (the venue's trailing order) or off
# trailing_steps = []         # tighter at higher profits: [["3.0", "0.4"], ["5.0", "0.2"]]
# trailing_break_even_percent = "0"   # profit from which on the stop is at least at the entry; 0: never
# trailing_update_s = 5       # between two moves of a stop
# trailing_min_move_percent = "0.05"  # a smaller move waits for more
# grace_s = 10                # an open position may be without a live stop at most this long
# on_unprotectable = "alert"  # or "close"
# protect_adopted = false     # true: positions that trueup adopted get stops too

[alerts]
# urls = []                   # apprise URLs, e.g. ["env:TRUEUP_ALERT_URL"]
# min_severity = "warning"    # info, warning, error or critical

[http]
# listen = "127.0.0.1:9464"   # /metrics and /health while `trueup run` is up; "" for none
"""
