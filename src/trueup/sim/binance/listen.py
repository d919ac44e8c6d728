"""The listen key endpoints: a key asks for them, nothing is signed."""

from __future__ import annotations

from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import unknown_listen_key


def start(call: Call) -> Answer:
    return {"listenKey": call.listen_keys.open(call.owner.name)}


def keep_alive(call: Call) -> Answer:
    key = call.listen_keys.extend(call.owner.name)
    if key is None:
        raise unknown_listen_key()
    return {"listenKey": key}


def close(call: Call) -> Answer:
    if call.listen_keys.close(call.owner.name) is None:
        raise unknown_listen_key()
    return {}
