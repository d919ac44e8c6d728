"""Deliveries through apprise to a real receiver: the numbered promises of `trueup.alerts`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.receiver import Receiver, receiving
from trueup.alerts import AppriseNotifier
from trueup.model.effects import Notice
from trueup.model.errors import ConfigurationError, NotDelivered
from trueup.model.events import Severity

# apprise imports all its plugins; one of them uses what Python 3.13 has no more.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated and slated for removal:DeprecationWarning")

TOKEN = "t0ken-of-the-place"


def notice(title: str = "trueup main: held", body: str = "two {gone} <b>now</b>", place: int = 0) -> Notice:
    return Notice(
        title=title,
        body=body,
        severity=Severity.ERROR,
        event_type=None,
        account="main",
        dedup="x",
        place=place,
        at_ms=1,
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(TOKEN) as opened:
        yield opened


async def test_a_notice_arrives_as_it_is(receiver: Receiver) -> None:
    await AppriseNotifier([receiver.url]).tell(notice())
    [told] = receiver.accepted
    assert (told["title"], told["message"], told["type"]) == ("trueup main: held", "two {gone} <b>now</b>", "failure")


async def test_1_secrets_are_struck_out_of_what_is_told(receiver: Receiver) -> None:
    notifier = AppriseNotifier([receiver.url], redact=lambda text: text.replace("key-1", "***"))
    await notifier.tell(notice(title="with key-1", body="and key-1"))
    assert (receiver.accepted[0]["title"], receiver.accepted[0]["message"]) == ("with ***", "and ***")


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_1_a_refusal_names_place_and_status_and_no_url(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = status
    notifier = AppriseNotifier([receiver.url])
    with pytest.raises(NotDelivered) as refused:
        await notifier.tell(notice())
    assert str(refused.value) == f"alerts.urls[0] (json): refused with HTTP status {status}"
    assert TOKEN not in caplog.text + repr(notifier)


async def test_1_a_place_that_is_not_there_is_not_delivered() -> None:
    with pytest.raises(NotDelivered, match=r"alerts\.urls\[0\] \(json\): not reachable"):
        await AppriseNotifier([f"json://127.0.0.1:1/{TOKEN}"]).tell(notice())


def test_1_a_url_that_is_none_is_named_by_its_number(receiver: Receiver) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AppriseNotifier([receiver.url, f"nosuch://{TOKEN}"])
    assert "alerts.urls[1] (nosuch)" in str(refused.value)
    assert TOKEN not in str(refused.value)


async def test_2_a_delivery_that_hangs_is_given_up_and_its_place_left_alone(receiver: Receiver) -> None:
    receiver.answering.clear()
    notifier = AppriseNotifier([receiver.url], timeout_s=0.2)
    began = time.monotonic()
    with pytest.raises(NotDelivered, match=r"no answer within 0\.2 s"):
        await notifier.tell(notice())
    assert time.monotonic() - began < 2
    with pytest.raises(NotDelivered, match="an earlier delivery there has not ended yet"):
        await notifier.tell(notice())
    receiver.answering.set()
    for _ in range(100):
        await asyncio.sleep(0.05)
        try:
            await notifier.tell(notice(title="after"))
        except NotDelivered:
            continue
        break
    assert receiver.about("after"), "the place is told again once the delivery that hung has ended"
