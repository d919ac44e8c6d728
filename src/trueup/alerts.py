"""Delivers notices through apprise: Telegram, Slack, Discord, e-mail, webhooks and the like.

1. A URL holds secrets: no error, log or text of ours shows one. A place is named by its number in ``alerts.urls`` and its kind.
2. A delivery takes a bounded time. One that hangs is abandoned, and its place is not tried again before it has ended.
3. apprise blocks, so each delivery has a thread of its own, which does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trueup.model.effects import Notice
from trueup.model.errors import ConfigurationError, NotDelivered
from trueup.model.events import Severity

if TYPE_CHECKING:
    import apprise

__all__ = ["AppriseNotifier"]

_TIMEOUT_S = 10.0
_TALKATIVE = ("apprise", "urllib3")
"""They log URLs, with the tokens in them; apprise is asked through its own callback for what went wrong."""

_STATUS = re.compile(r"error=(\d{3})\b")
_KINDS = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "failure",
    Severity.CRITICAL: "failure",
}


class AppriseNotifier:
    """Implements `trueup.ports.Notifier`."""

    def __init__(
        self, urls: Sequence[str], *, redact: Callable[[str], str] = lambda text: text, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Reads the URLs; nothing is sent yet.

        Args:
            redact: Strikes secrets out of what is told.

        Raises:
            ConfigurationError: A URL is none that apprise can send to; the text names it by its number.
        """
        self._places = [_place(number, url) for number, url in enumerate(urls)]
        self._redact = redact
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"AppriseNotifier({len(self._places)} places)"

    @property
    def places(self) -> int:
        return len(self._places)

    async def tell(self, notice: Notice) -> None:
        """See `trueup.ports.Notifier.tell`."""
        place = self._places[notice.place]
        if place.busy.locked():
            raise NotDelivered(f"{place.name}: an earlier delivery there has not ended yet")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str | None] = loop.create_future()
        title, body = self._redact(notice.title), self._redact(notice.body)
        place.busy.acquire()

        def deliver() -> None:
            try:
                problem = place.send(title, body, _KINDS[notice.severity])
            finally:
                place.busy.release()
            _hand_over(loop, ended, problem)

        threading.Thread(target=deliver, name=f"alert {notice.place}", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                problem = await ended
        except TimeoutError:
            raise NotDelivered(f"{place.name}: no answer within {self._timeout_s:g} s") from None
        if problem is not None:
            raise NotDelivered(f"{place.name}: {problem}")


def _hand_over(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[str | None], problem: str | None) -> None:
    """Tells the loop, unless nobody waits there any more."""

    def take() -> None:
        if not ended.done():
            ended.set_result(problem)

    if not loop.is_closed():
        loop.call_soon_threadsafe(take)


class _Place:
    """One URL. `name` is what errors call it."""

    def __init__(self, name: str, sender: apprise.Apprise) -> None:
        self.name = name
        self.busy = threading.Lock()
        self._sender = sender

    def send(self, title: str, body: str, kind: str) -> str | None:
        """Blocks. Returns what went wrong in words that hold nothing of the URL, or None."""
        statuses: list[str] = []

        def note(entry: Any, _service: Any) -> None:
            found = _STATUS.search(str(getattr(entry, "message", "")))
            if found:
                statuses.append(found.group(1))

        try:
            accepted = self._sender.notify(
                title=title,
                body=body,
                notify_type=kind,
                body_format="text",
                log_callback=note,
                log_level=logging.WARNING,
            )
        except Exception as error:  # any plugin's own fault; its text may hold the URL
            return f"failed with {type(error).__name__}"
        if accepted:
            return None
        return f"refused with HTTP status {statuses[-1]}" if statuses else "not reachable, or it refused"


def _place(number: int, url: str) -> _Place:
    """Raises `ConfigurationError` for a URL that apprise cannot send to."""
    import apprise  # late: it is slow to import, and most commands tell nothing

    for name in _TALKATIVE:
        logging.getLogger(name).propagate = False
        logging.getLogger(name).handlers[:] = [logging.NullHandler()]
    scheme = url.partition("://")[0]
    label = f"alerts.urls[{number}]" + (f" ({scheme})" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "")
    asset = apprise.AppriseAsset(
        app_id="trueup", app_desc="trueup", app_url="", async_mode=False, storage_mode="memory", secure_logging=True
    )
    sender = apprise.Apprise(asset=asset)
    if not sender.add(url):
        raise ConfigurationError(
            f"{label} is no URL that apprise can send to; see https://github.com/caronc/apprise/wiki for its form"
        )
    return _Place(label, sender)
