"""Every endpoint that is served: its handler, whether it is signed, how often an account may call it in a second.

Limits are the venue's for unified accounts (UTA 2.0 Pro) as of mid-2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trueup.sim.bybit import account, batch, history, market, orders, positions, trading_stop
from trueup.sim.bybit.call import Handler


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `limit` 0: public, not counted per account. `writes`: needs the right to trade."""

    handler: Handler
    limit: int = 0
    writes: bool = False

    @property
    def private(self) -> bool:
        return self.limit > 0


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/v5/market/time"): Route(market.server_time),
    ("GET", "/v5/market/instruments-info"): Route(market.instruments_info),
    ("GET", "/v5/market/tickers"): Route(market.tickers),
    ("GET", "/v5/market/orderbook"): Route(market.order_book),
    ("GET", "/v5/market/funding/history"): Route(market.funding_history),
    ("GET", "/v5/position/list"): Route(positions.position_list, 50),
    ("GET", "/v5/position/closed-pnl"): Route(positions.closed_pnl, 50),
    ("GET", "/v5/order/realtime"): Route(history.realtime, 50),
    ("GET", "/v5/order/history"): Route(history.order_history, 50),
    ("GET", "/v5/execution/list"): Route(history.executions, 50),
    ("GET", "/v5/account/transaction-log"): Route(account.transaction_log, 25),
    ("GET", "/v5/account/wallet-balance"): Route(account.wallet_balance, 50),
    ("GET", "/v5/account/info"): Route(account.account_info, 50),
    ("GET", "/v5/account/fee-rate"): Route(account.fee_rate, 5),
    ("GET", "/v5/user/query-api"): Route(account.query_api, 10),
    ("GET", "/v5/asset/coin/query-info"): Route(account.coin_info, 5),
    ("POST", "/v5/order/create"): Route(orders.create, 10, writes=True),
    ("POST", "/v5/order/amend"): Route(orders.amend, 10, writes=True),
    ("POST", "/v5/order/cancel"): Route(orders.cancel, 10, writes=True),
    ("POST", "/v5/order/cancel-all"): Route(orders.cancel_all, 10, writes=True),
    ("POST", "/v5/order/create-batch"): Route(batch.create_batch, 10, writes=True),
    ("POST", "/v5/order/amend-batch"): Route(batch.amend_batch, 10, writes=True),
    ("POST", "/v5/order/cancel-batch"): Route(batch.cancel_batch, 10, writes=True),
    ("POST", "/v5/position/trading-stop"): Route(trading_stop.trading_stop, 10, writes=True),
    ("POST", "/v5/position/set-leverage"): Route(positions.set_leverage, 10, writes=True),
    ("POST", "/v5/position/switch-mode"): Route(positions.switch_mode, 10, writes=True),
    ("POST", "/v5/position/switch-isolated"): Route(positions.switch_isolated, 10, writes=True),
    ("POST", "/v5/position/add-margin"): Route(positions.add_margin, 10, writes=True),
    ("POST", "/v5/account/set-margin-mode"): Route(account.set_margin_mode, 5, writes=True),
}
