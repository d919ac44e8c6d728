"""Listen keys: one per account, alive for an hour from each use of `POST` or `PUT`.

1. An account has at most one live key; asking again gives the same one and extends it.
2. A key that ran out is told once to whoever watches, and never lives again; the next one is another text.
3. Keys are made from the account and a counter: the same world gives the same keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from trueup.sim.world.world import World

VALIDITY_MS = 3_600_000
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class _Key:
    account: str
    text: str
    expires_ms: int


class ListenKeys:
    """The live keys of all accounts."""

    def __init__(self, world: World, on_ended: Callable[[str, str, bool], None]) -> None:
        """`on_ended(account, key, expired)` is called once per key: `expired` unless its owner closed it."""
        self._world = world
        self._on_ended = on_ended
        self._by_account: dict[str, _Key] = {}
        self._by_text: dict[str, _Key] = {}
        self._made: dict[str, int] = {}

    def open(self, account: str) -> str:
        """The account's key, made or extended."""
        key = self._live(account)
        if key is not None:
            key.expires_ms = self._world.now_ms() + VALIDITY_MS
            return key.text
        number = self._made.get(account, 0) + 1
        self._made[account] = number
        key = _Key(account, _text(account, number), self._world.now_ms() + VALIDITY_MS)
        self._by_account[account] = key
        self._by_text[key.text] = key
        self._world.schedule(key.expires_ms, lambda: self._expire_due(key))
        return key.text

    def extend(self, account: str) -> str | None:
        """The account's key, extended; None when it has none."""
        key = self._live(account)
        if key is None:
            return None
        key.expires_ms = self._world.now_ms() + VALIDITY_MS
        return key.text

    def close(self, account: str) -> str | None:
        """Ends the account's key without a word; returns it."""
        key = self._by_account.get(account)
        if key is None:
            return None
        self._end(key, expired=False)
        return key.text

    def account_of(self, text: str) -> str | None:
        """Whose live key this is."""
        key = self._by_text.get(text)
        if key is None or key.expires_ms <= self._world.now_ms():
            return None
        return key.account

    def expire(self, account: str | None) -> None:
        """Makes the account's key (every account's, when None) run out now."""
        names = list(self._by_account) if account is None else [account]
        for name in names:
            key = self._by_account.get(name)
            if key is not None:
                self._end(key)

    def _live(self, account: str) -> _Key | None:
        key = self._by_account.get(account)
        if key is not None and key.expires_ms <= self._world.now_ms():
            self._end(key)
            return None
        return key

    def _expire_due(self, key: _Key) -> None:
        if self._by_text.get(key.text) is not key:
            return
        if key.expires_ms > self._world.now_ms():
            self._world.schedule(key.expires_ms, lambda: self._expire_due(key))
            return
        self._end(key)

    def _end(self, key: _Key, *, expired: bool = True) -> None:
        self._by_text.pop(key.text, None)
        if self._by_account.get(key.account) is key:
            del self._by_account[key.account]
        self._on_ended(key.account, key.text, expired)


def _text(account: str, number: int) -> str:
    digest = hashlib.sha512(f"listen key {number} of {account}".encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)
