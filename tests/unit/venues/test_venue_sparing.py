"""ccxt in one process with trueup: little of it is loaded, and whoever wants the rest finds it as ever."""

from __future__ import annotations

import subprocess
import sys

LITTLE = """
import sys
from trueup.venues.sparing import load_ccxt_sparingly
load_ccxt_sparingly()
import trueup.venues.client
loaded = [name for name in sys.modules if name.startswith("ccxt.")]
assert len(loaded) < 40, len(loaded)
"""
ALL = """
from ccxt.async_support import binance, binanceusdm, kraken
import ccxt
import ccxt.async_support
from ccxt.base.errors import NetworkError
assert isinstance(binanceusdm, type) and isinstance(kraken, type), binanceusdm
assert isinstance(ccxt.binanceusdm, type) and "kraken" in ccxt.exchanges and ccxt.__version__
assert ccxt.NetworkError is NetworkError
assert ccxt.async_support.kraken is kraken and isinstance(ccxt.async_support, type(sys))
import ccxt.pro
assert issubclass(ccxt.pro.binance, binance)
"""
SAME = """
assert issubclass(trueup.venues.client._RawBinance, binanceusdm)
assert trueup.venues.client.errors.NetworkError is ccxt.NetworkError
"""


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_two_exchanges_are_loaded_and_not_a_hundred() -> None:
    run(LITTLE)


def test_the_rest_is_there_for_whoever_asks_after_us() -> None:
    run(LITTLE + ALL + SAME)


def test_a_ccxt_that_is_loaded_already_is_taken_as_it_is() -> None:
    spared = "from trueup.venues.sparing import load_ccxt_sparingly\nload_ccxt_sparingly()\n"
    run("import sys" + ALL + spared + "import trueup.venues.client" + SAME)


def test_the_library_leaves_ccxt_as_it_is() -> None:
    run(
        "import sys, types, trueup, trueup.venues.client\nassert type(sys.modules['ccxt']) is types.ModuleType"
        + ALL
        + SAME
    )
