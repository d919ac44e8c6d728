"""Account endpoints: who the key is, what it may, balances, fees, margin mode, transaction log, coins."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from trueup.sim.bybit import names
from trueup.sim.bybit.call import Call, Result
from trueup.sim.bybit.errors import ApiError, bad_parameter
from trueup.sim.bybit.paging import DAY_MS, Key, Window, page, window
from trueup.sim.bybit.params import invalid
from trueup.sim.bybit.render_account import LogEntry, log_row, log_type, wallet_row
from trueup.sim.bybit.text import plain
from trueup.sim.world import AccountView
from trueup.sim.world.refusals import NothingToChange, Refusal
from trueup.sim.world.types import Fill, LedgerEntry, MarginMode

_UNIFIED_STATUS = 6
_MARGIN_MODES = {"REGULAR_MARGIN": MarginMode.CROSS, "ISOLATED_MARGIN": MarginMode.ISOLATED}
_TRADE_RIGHTS = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Options": ["OptionsTrade"],
    "Derivatives": ["DerivativesTrade"],
    "Exchange": ["ExchangeHistory"],
    "Earn": ["Earn"],
}
_OTHER_RIGHTS = (
    "CopyTrading",
    "BlockTrade",
    "NFT",
    "Affiliate",
    "FiatP2P",
    "FiatConvertBroker",
    "FiatGlobalPay",
    "FiatBitPay",
    "BitCard",
    "ByXPost",
)


def query_api(call: Call) -> Result:
    """GET /v5/user/query-api: the key, its rights, and whose it is."""
    owner = call.owner
    wallet = ["AccountTransfer", "SubMemberTransfer", *(["Withdraw"] if owner.can_withdraw else [])]
    return {
        "id": owner.uid[-7:],
        "note": owner.name,
        "apiKey": owner.api_key,
        "readOnly": 0 if owner.can_trade else 1,
        "secret": "",
        "permissions": {**_TRADE_RIGHTS, "Wallet": wallet, **{name: [] for name in _OTHER_RIGHTS}},
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2100-01-01T00:00:00Z",
        "createdAt": "2025-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": int(owner.uid),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
        "userIDInt64": owner.uid,
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }


def account_info(call: Call) -> Result:
    """GET /v5/account/info."""
    view = call.view()
    return {
        "marginMode": margin_mode_word(call, view),
        "updatedTime": "1697078946000",
        "unifiedMarginStatus": _UNIFIED_STATUS,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def margin_mode_word(call: Call, view: AccountView) -> str:
    """The account's margin mode; isolated as soon as one contract is."""
    if call.owner.portfolio_margin:
        return "PORTFOLIO_MARGIN"
    isolated = any(
        view.settings(spec.symbol).margin_mode is MarginMode.ISOLATED for spec in call.world.instruments("bybit")
    )
    return "ISOLATED_MARGIN" if isolated else "REGULAR_MARGIN"


def set_margin_mode(call: Call) -> Result:
    """POST /v5/account/set-margin-mode: of the account, so of every contract."""
    word = call.params.required("setMarginMode")
    if word not in _MARGIN_MODES:
        if word != "PORTFOLIO_MARGIN":
            raise invalid("setMarginMode")
        raise _mode_failed("3400000", "Equity needs to be equal to or greater than 1000 USDC")
    view = call.view()
    if view.open_orders() or view.open_conditionals() or view.positions():
        raise _mode_failed("3400065", "There are existing positions or orders")
    for spec in call.world.instruments("bybit"):
        try:
            call.world.set_margin_mode(call.owner.name, spec.symbol, _MARGIN_MODES[word])
        except NothingToChange:
            continue
        except Refusal as refusal:
            raise _mode_failed("3400065", str(refusal)) from None
    return {"reasons": []}


def _mode_failed(code: str, text: str) -> ApiError:
    return ApiError(3400045, "Set margin mode failed", result={"reasons": [{"reasonCode": code, "reasonMsg": text}]})


def wallet_balance(call: Call) -> Result:
    """GET /v5/account/wallet-balance."""
    if call.params.text("accountType") != "UNIFIED":
        raise bad_parameter("accountType only support UNIFIED.")
    wanted = [coin for coin in call.params.text("coin").split(",") if coin]
    return {"list": [wallet_row(call.world, call.view(), wanted)]}


def fee_rate(call: Call) -> Result:
    """GET /v5/account/fee-rate."""
    category = call.category()
    if category not in names.SERVED_CATEGORIES:
        return {"category": category, "list": []}
    specs = (
        [call.instrument(category)]
        if call.params.has("symbol")
        else [spec for spec in call.world.instruments("bybit") if spec.category == category]
    )
    taker, maker = plain(call.owner.taker_rate), plain(call.owner.maker_rate)
    return {
        "list": [
            {"symbol": spec.symbol, "takerFeeRate": taker, "makerFeeRate": maker, "baseCoin": ""} for spec in specs
        ]
    }


def coin_info(call: Call) -> Result:
    """GET /v5/asset/coin/query-info."""
    wanted = call.params.text("coin")
    coins: dict[str, None] = {}
    for spec in call.world.instruments("bybit"):
        coins.setdefault(spec.settle)
        coins.setdefault(spec.base)
    return {
        "rows": [
            {
                "name": coin,
                "coin": coin,
                "remainAmount": "10000000",
                "chains": [
                    {
                        "chain": coin,
                        "chainType": coin,
                        "confirmation": "6",
                        "withdrawFee": "0.0001",
                        "depositMin": "0",
                        "withdrawMin": "0.001",
                        "minAccuracy": "8",
                        "chainDeposit": "1",
                        "chainWithdraw": "1",
                        "withdrawPercentageFee": "0",
                        "contractAddress": "",
                        "safeConfirmNumber": "12",
                    }
                ],
            }
            for coin in coins
            if wanted in ("", coin)
        ]
    }


def transaction_log(call: Call) -> Result:
    """GET /v5/account/transaction-log: one row per execution or transfer and currency."""
    params = call.params
    if params.has("accountType") and params.text("accountType") != "UNIFIED":
        raise bad_parameter("accountType only support UNIFIED.")
    limit = params.limit(20, 50)
    span = window(params, call.now_ms, default_ms=DAY_MS)
    view = call.view()
    found = [entry for entry in _log_entries(view, span) if _is_wanted(call, view, entry)]
    found.reverse()
    shown, cursor = page(found, _log_key, limit, params.text("cursor"))
    return {"list": [log_row(view, entry) for entry in shown], "nextPageCursor": cursor}


def _log_key(entry: LogEntry) -> Key:
    return entry.last.at_ms, entry.last.entry_id


def _log_entries(view: AccountView, span: Window) -> list[LogEntry]:
    """The movements of money in the window, those of one execution in one currency together, oldest first."""
    fills = view.executions()
    grouped: dict[tuple[int, str], list[LedgerEntry]] = {}
    entries: list[LogEntry] = []
    for movement in view.ledger():
        if not span.holds(movement.at_ms):
            continue
        if movement.fill_id is None:
            entries.append(LogEntry((movement,), None))
        else:
            grouped.setdefault((movement.fill_id, movement.asset), []).append(movement)
    entries += [LogEntry(tuple(group), _fill_of(fills, fill_id)) for (fill_id, _), group in grouped.items()]
    entries.sort(key=_log_key)
    return entries


def _fill_of(fills: Sequence[Fill], fill_id: int) -> Fill | None:
    """An execution by its number; the numbers of an account's executions only grow."""
    index = bisect_left(fills, fill_id, key=lambda fill: fill.fill_id)
    if index < len(fills) and fills[index].fill_id == fill_id:
        return fills[index]
    return None


def _is_wanted(call: Call, view: AccountView, entry: LogEntry) -> bool:
    params = call.params
    spec = view.instrument(entry.last.symbol) if entry.last.symbol is not None else None
    category, base = params.text("category"), params.text("baseCoin")
    return (
        params.text("currency") in ("", entry.last.asset)
        and params.text("type") in ("", log_type(entry))
        and (not category or (spec is not None and spec.category == category))
        and (not base or (spec is not None and spec.base == base))
    )
