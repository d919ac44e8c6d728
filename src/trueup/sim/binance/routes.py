"""Every endpoint: what it asks of its caller, what it weighs, who answers it.

1. `weight` counts for the client address and minute, with `weight_without_symbol` when no symbol was sent; `orders`
   counts for the account. Both as the venue documents them (2026).
"""

from __future__ import annotations

from dataclasses import dataclass

from trueup.sim.binance import account, algo, history, listen, market, orders, settings
from trueup.sim.binance.call import Handler
from trueup.sim.binance.params import Params
from trueup.sim.binance.security import Security

_DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    method: str
    path: str
    handler: Handler
    security: Security = Security.NONE
    weight: int = 1
    weight_without_symbol: int | None = None
    orders: int = 0

    def weigh(self, params: Params) -> int:
        """What this request costs its address."""
        if self.path == "/fapi/v1/depth":
            return _depth_weight(params.text("limit"))
        if self.weight_without_symbol is not None and not params.sent("symbol"):
            return self.weight_without_symbol
        return self.weight


def _depth_weight(limit: str | None) -> int:
    wanted = int(limit) if limit is not None and limit.isdecimal() else 500
    return next((weight for most, weight in _DEPTH_WEIGHTS if wanted <= most), _DEPTH_WEIGHTS[-1][1])


_SIGNED, _TRADE, _KEY = Security.SIGNED, Security.TRADE, Security.KEY

ROUTES: tuple[Route, ...] = (
    Route("GET", "/fapi/v1/ping", market.ping),
    Route("GET", "/fapi/v1/time", market.server_time),
    Route("GET", "/fapi/v1/exchangeInfo", market.exchange_information),
    Route("GET", "/fapi/v1/premiumIndex", market.premium_index, weight_without_symbol=10),
    Route("GET", "/fapi/v1/fundingInfo", market.funding_info, weight=0),
    Route("GET", "/fapi/v1/ticker/price", market.ticker_price, weight_without_symbol=2),
    Route("GET", "/fapi/v2/ticker/price", market.ticker_price, weight_without_symbol=2),
    Route("GET", "/fapi/v1/ticker/24hr", market.ticker_24h, weight_without_symbol=40),
    Route("GET", "/fapi/v1/ticker/bookTicker", market.book_ticker, weight=2, weight_without_symbol=5),
    Route("GET", "/fapi/v1/depth", market.depth),
    Route("GET", "/fapi/v3/positionRisk", account.position_risk_v3, _SIGNED, 5),
    Route("GET", "/fapi/v2/positionRisk", account.position_risk_v2, _SIGNED, 5),
    Route("GET", "/fapi/v3/account", account.account_v3, _SIGNED, 5),
    Route("GET", "/fapi/v2/account", account.account_v2, _SIGNED, 5),
    Route("GET", "/fapi/v3/balance", account.balance, _SIGNED, 5),
    Route("GET", "/fapi/v2/balance", account.balance, _SIGNED, 5),
    Route("GET", "/fapi/v1/accountConfig", account.account_config, _SIGNED, 5),
    Route("GET", "/fapi/v1/symbolConfig", account.symbol_config, _SIGNED, 5),
    Route("GET", "/fapi/v1/leverageBracket", account.leverage_bracket, _SIGNED, 1),
    Route("GET", "/fapi/v1/commissionRate", account.commission_rate, _SIGNED, 20),
    Route("GET", "/fapi/v1/multiAssetsMargin", account.multi_assets_mode, _SIGNED, 30),
    Route("GET", "/fapi/v1/feeBurn", account.fee_burn, _SIGNED, 30),
    Route("GET", "/fapi/v1/rateLimit/order", account.order_rate_limit, _SIGNED, 1),
    Route("GET", "/fapi/v1/positionSide/dual", account.position_mode, _SIGNED, 30),
    Route("POST", "/fapi/v1/positionSide/dual", settings.set_position_mode, _TRADE, 1),
    Route("POST", "/fapi/v1/leverage", settings.set_leverage, _TRADE, 1),
    Route("POST", "/fapi/v1/marginType", settings.set_margin_type, _TRADE, 1),
    Route("POST", "/fapi/v1/positionMargin", settings.adjust_margin, _TRADE, 1),
    Route("POST", "/fapi/v1/order", orders.place, _TRADE, 0, orders=1),
    Route("POST", "/fapi/v1/order/test", orders.check, _TRADE, 0, orders=1),
    Route("PUT", "/fapi/v1/order", orders.amend, _TRADE, 0, orders=1),
    Route("GET", "/fapi/v1/order", orders.query, _SIGNED, 1),
    Route("DELETE", "/fapi/v1/order", orders.cancel, _TRADE, 1),
    Route("DELETE", "/fapi/v1/allOpenOrders", orders.cancel_all, _TRADE, 1),
    Route("GET", "/fapi/v1/openOrder", orders.query_open, _SIGNED, 1),
    Route("GET", "/fapi/v1/openOrders", orders.open_orders, _SIGNED, 1, 40),
    Route("GET", "/fapi/v1/allOrders", orders.all_orders, _SIGNED, 5),
    Route("GET", "/fapi/v1/forceOrders", orders.force_orders, _SIGNED, 20, 50),
    Route("POST", "/fapi/v1/algoOrder", algo.place, _TRADE, 0, orders=1),
    Route("GET", "/fapi/v1/algoOrder", algo.query, _SIGNED, 1),
    Route("DELETE", "/fapi/v1/algoOrder", algo.cancel, _TRADE, 1),
    Route("DELETE", "/fapi/v1/algoOpenOrders", algo.cancel_all, _TRADE, 1),
    Route("GET", "/fapi/v1/openAlgoOrders", algo.open_orders, _SIGNED, 1, 40),
    Route("GET", "/fapi/v1/allAlgoOrders", algo.all_orders, _SIGNED, 5),
    Route("GET", "/fapi/v1/userTrades", history.user_trades, _SIGNED, 5),
    Route("GET", "/fapi/v1/income", history.income, _SIGNED, 30),
    Route("POST", "/fapi/v1/listenKey", listen.start, _KEY, 1),
    Route("PUT", "/fapi/v1/listenKey", listen.keep_alive, _KEY, 1),
    Route("DELETE", "/fapi/v1/listenKey", listen.close, _KEY, 1),
    Route("GET", "/sapi/v1/account/apiRestrictions", account.api_restrictions, _SIGNED, 1),
    Route("GET", "/sapi/v1/capital/config/getall", account.coins, _SIGNED, 10),
    Route("GET", "/sapi/v1/margin/allPairs", account.margin_pairs, _KEY, 1),
)
BY_ENDPOINT = {(route.method, route.path): route for route in ROUTES}
