"""The contracts that the default world lists: the kinds and the awkward names that clients stumble over.

Tick, step and limits are in the order of the venues' own in 2026; a world takes any other list just as well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trueup.sim.world.types import InstrumentSpec, Kind, Venue

_PRICES = {
    "BTC": "60000",
    "ETH": "3000",
    "SOL": "150",
    "HIGH": "0.5",
    "1000PEPE": "0.01",
    "SHIB1000": "0.02",
}
_GRIDS: dict[str, tuple[str, str, str]] = {
    # base: price tick, quantity step, maximum quantity
    "BTC": ("0.1", "0.001", "1000"),
    "ETH": ("0.01", "0.001", "10000"),
    "SOL": ("0.01", "0.1", "100000"),
    "HIGH": ("0.0001", "1", "1000000"),
    "1000PEPE": ("0.0000001", "100", "50000000"),
    "SHIB1000": ("0.000001", "10", "50000000"),
}
_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
_MONTH_NAMES = {3: "MAR", 6: "JUN", 9: "SEP", 12: "DEC"}


def quarterly_expiry(at_ms: int) -> datetime:
    """Delivery of the quarter that is at least fourteen days away: the last Friday of its month, 08:00 UTC."""
    earliest = datetime.fromtimestamp(at_ms / 1000, tz=UTC) + timedelta(days=14)
    year, month = earliest.year, (earliest.month + 2) // 3 * 3
    while True:
        delivery = _last_friday(year, month)
        if delivery >= earliest:
            return delivery
        year, month = (year + 1, 3) if month == 12 else (year, month + 3)


def _last_friday(year: int, month: int) -> datetime:
    following = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
    last = following - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 4) % 7)


def perpetual(
    venue: Venue, base: str, *, quote: str = "USDT", symbol: str | None = None, start_ms: int, price: str | None = None
) -> InstrumentSpec:
    """A linear perpetual settled in its quote asset; `base` as the venue writes it (`1000PEPE`)."""
    tick, step, maximum = _GRIDS[base]
    return InstrumentSpec(
        venue=venue,
        symbol=symbol or base + quote,
        unified=f"{base}/{quote}:{quote}",
        base=base,
        quote=quote,
        settle=quote,
        kind=Kind.PERPETUAL,
        inverse=False,
        contract_size=Decimal(1),
        price_tick=Decimal(tick),
        quantity_step=Decimal(step),
        min_quantity=Decimal(step),
        max_quantity=Decimal(maximum),
        max_market_quantity=Decimal(maximum) / 2,
        min_notional=Decimal(5),
        max_leverage=Decimal(125 if base == "BTC" else 75),
        maintenance_rate=Decimal("0.004" if venue == "binance" else "0.005"),
        initial_price=Decimal(price or _PRICES[base]),
        listed_ms=start_ms - 365 * 86_400_000,
    )


def dated(venue: Venue, base: str, symbol: str, delivery: datetime, *, start_ms: int) -> InstrumentSpec:
    """A linear contract in USDT with a delivery date."""
    tick, step, maximum = _GRIDS[base]
    return InstrumentSpec(
        venue=venue,
        symbol=symbol,
        unified=f"{base}/USDT:USDT-{delivery:%y%m%d}",
        base=base,
        quote="USDT",
        settle="USDT",
        kind=Kind.DATED,
        inverse=False,
        contract_size=Decimal(1),
        price_tick=Decimal(tick),
        quantity_step=Decimal(step),
        min_quantity=Decimal(step),
        max_quantity=Decimal(maximum),
        max_market_quantity=Decimal(maximum) / 2,
        min_notional=Decimal(5),
        max_leverage=Decimal(50),
        maintenance_rate=Decimal("0.01"),
        initial_price=(Decimal(_PRICES[base]) * Decimal("1.01")).quantize(Decimal(tick)),
        listed_ms=start_ms - 60 * 86_400_000,
        expiry_ms=round(delivery.timestamp() * 1000),
        funding_interval_ms=None,
    )


def inverse(symbol: str, base: str, *, start_ms: int, delivery: datetime | None = None) -> InstrumentSpec:
    """A Bybit contract of one US dollar, settled in the base asset."""
    suffix = "" if delivery is None else f"-{delivery:%y%m%d}"
    return InstrumentSpec(
        venue="bybit",
        symbol=symbol,
        unified=f"{base}/USD:{base}{suffix}",
        base=base,
        quote="USD",
        settle=base,
        kind=Kind.PERPETUAL if delivery is None else Kind.DATED,
        inverse=True,
        contract_size=Decimal(1),
        price_tick=Decimal("0.5") if base == "BTC" else Decimal("0.05"),
        quantity_step=Decimal(1),
        min_quantity=Decimal(1),
        max_quantity=Decimal(25_000_000),
        max_market_quantity=Decimal(5_000_000),
        min_notional=None,
        max_leverage=Decimal(100 if delivery is None else 50),
        maintenance_rate=Decimal("0.005"),
        initial_price=Decimal(_PRICES[base]),
        listed_ms=start_ms - 365 * 86_400_000,
        expiry_ms=None if delivery is None else round(delivery.timestamp() * 1000),
        funding_interval_ms=28_800_000 if delivery is None else None,
    )


def default_instruments(start_ms: int) -> list[InstrumentSpec]:
    """What both venues list in a world that begins at that time; the dated contracts deliver in the next quarter."""
    delivery = quarterly_expiry(start_ms)
    day = f"{delivery.day:02d}{_MONTH_NAMES[delivery.month]}{delivery:%y}"
    listed: list[InstrumentSpec] = []
    for venue in ("binance", "bybit"):
        listed += [perpetual(venue, base, start_ms=start_ms) for base in ("BTC", "ETH", "SOL", "HIGH", "1000PEPE")]
    listed += [
        perpetual("binance", "BTC", quote="USDC", start_ms=start_ms),
        dated("binance", "BTC", f"BTCUSDT_{delivery:%y%m%d}", delivery, start_ms=start_ms),
        perpetual("bybit", "SHIB1000", start_ms=start_ms),
        perpetual("bybit", "BTC", quote="USDC", symbol="BTCPERP", start_ms=start_ms),
        dated("bybit", "BTC", f"BTCUSDT-{day}", delivery, start_ms=start_ms),
        inverse("BTCUSD", "BTC", start_ms=start_ms),
        inverse("ETHUSD", "ETH", start_ms=start_ms),
        inverse(f"BTCUSD{_MONTH_CODES[delivery.month]}{delivery:%y}", "BTC", start_ms=start_ms, delivery=delivery),
    ]
    return listed
