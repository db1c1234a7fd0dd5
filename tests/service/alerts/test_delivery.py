from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from support.alerts import add_channel, add_message, messages, opened
from support.mailbox import Mailbox
from support.receiver import Receiver
from tollkeeper.errors import ConflictError, StoreError
from tollkeeper.service.alerts import delivery
from tollkeeper.service.alerts.channels import ChannelPatch
from tollkeeper.service.alerts.delivery import MAX_ATTEMPTS, channels_of, deliver, send_now, wait_after
from tollkeeper.service.alerts.outbox import add_trial, retry_message
from tollkeeper.service.audit import editing
from tollkeeper.service.beats import start_beats
from tollkeeper.service.rollups import beats_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.receiver import Reply
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.operations import Message

HOUR = timedelta(hours=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def service() -> Iterator[Service]:
    service = opened(mail_from="alerts@shop.example")
    yield service
    service.close()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def full() -> None:
    raise StoreError("The disk is full.")


def only(service: Service) -> Message:
    (message,) = messages(service)
    return message


def test_what_is_due_is_delivered_and_noted_once(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    assert deliver(service, soon()) == 0
    add_message(service, channel)
    add_message(service, channel, "msg_2", at=soon() + HOUR)
    now = soon()
    assert deliver(service, now) == 1
    assert deliver(service, now) == 0
    first, second = messages(service)
    assert (first.state, first.attempts, first.error, first.delivered_at) == ("delivered", 1, None, now)
    assert (second.state, second.attempts) == ("pending", 0)
    assert [taken.headers["webhook-id"] for taken in receiver.requests] == ["msg_1"]


def test_a_message_is_tried_again_later_and_later_with_the_same_id(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    add_message(service, channel)
    receiver.replies = [(500, {}, b"")] * 3
    waits = []
    now = soon()
    while only(service).state == "pending":
        before = now
        deliver(service, now)
        assert deliver(service, now) == 0  # it is not due
        now = only(service).at
        waits.append((now - before).total_seconds())
    assert 2.5 <= waits[0] <= 5
    assert 10 <= waits[1] <= 20
    assert 40 <= waits[2] <= 80
    assert only(service).attempts == 4
    assert {taken.headers["webhook-id"] for taken in receiver.requests} == {"msg_1"}
    assert len({taken.body for taken in receiver.requests}) == 1


def test_a_message_is_dead_after_many_tries_and_lives_again_by_hand(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    add_message(service, channel)
    receiver.replies = [(500, {}, b"")] * MAX_ATTEMPTS
    now = soon()
    for _ in range(MAX_ATTEMPTS):
        assert only(service).state == "pending"
        deliver(service, now)
        now = only(service).at
    dead = only(service)
    assert (dead.state, dead.attempts, dead.error) == ("dead", MAX_ATTEMPTS, "It answered 500.")
    assert deliver(service, now + 100 * HOUR) == 0
    with editing(service.catalog, "test") as edit:
        retry_message(edit, dead.id)
    assert deliver(service, soon()) == 1
    assert only(service).state == "delivered"
    with pytest.raises(ConflictError, match="delivered"), editing(service.catalog, "test") as edit:
        retry_message(edit, dead.id)


def test_all_tries_take_most_of_a_day_and_less_than_two() -> None:
    spans = [
        sum((wait_after(attempt, share) for attempt in range(1, MAX_ATTEMPTS)), timedelta()) for share in (0.0, 1.0)
    ]
    assert timedelta(hours=6) < spans[0] < spans[1] < timedelta(hours=48)
    assert wait_after(10_000, 1.0) == timedelta(hours=2)


def test_a_receiver_that_is_gone_or_asks_for_time_is_heard(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    add_message(service, channel)
    receiver.replies = [(429, {"Retry-After": "1800"}, b""), (410, {}, b"")]
    now = soon()
    deliver(service, now)
    assert only(service).at == now + timedelta(seconds=1800)
    deliver(service, only(service).at)
    assert (only(service).state, only(service).attempts) == ("dead", 2)


def test_the_first_that_fails_holds_up_those_behind_it_and_no_other_channel(
    service: Service, receiver: Receiver
) -> None:
    bad, _ = add_channel(service, "bad", receiver.url + "/bad")
    good, _ = add_channel(service, "good", receiver.url + "/good")
    for number in range(3):
        add_message(service, bad, f"msg_bad{number}")
        add_message(service, good, f"msg_good{number}")
    receiver.answer = lambda taken: (500 if taken.target == "/bad" else 200, {}, b"")
    assert deliver(service, soon()) == 3
    assert sorted(taken.headers["webhook-id"] for taken in receiver.requests) == [
        "msg_bad0", "msg_good0", "msg_good1", "msg_good2",
    ]  # fmt: skip


def test_a_slow_channel_gives_way_to_the_next_call(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "A_CHANNEL_SECONDS", 0.0)
    channel, _ = add_channel(service, address=receiver.url)
    for number in range(3):
        add_message(service, channel, f"msg_{number}")
    assert [deliver(service, soon()) for _ in range(4)] == [1, 1, 1, 0]


def test_two_that_deliver_at_once_note_what_one_of_them_did(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    message = add_message(service, channel)

    def meanwhile(_taken: object) -> tuple[int, dict[str, str], bytes]:
        with service.catalog.writing() as records:
            records.replace(replace(message, state="delivered", attempts=1, delivered_at=message.at))
        return 500, {}, b""

    receiver.answer = meanwhile
    deliver(service, soon())
    assert only(service).state == "delivered"


def test_what_cannot_be_noted_is_not_sent(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    message = add_message(service, channel)
    monkeypatch.setattr(service.catalog, "writing", full)
    for seconds in range(3):
        with pytest.raises(StoreError):
            deliver(service, soon() + timedelta(seconds=seconds))
    with pytest.raises(StoreError):
        send_now(service, message, soon())
    assert receiver.requests == []


def test_what_was_sent_and_could_not_be_noted_is_sent_again_later_and_later(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    add_message(service, channel)

    def fill(_taken: object) -> Reply:
        monkeypatch.setattr(service.catalog, "writing", full)
        return 200, {}, b""

    receiver.answer = fill
    now, waits = soon(), []
    for tries in range(1, 8):
        with pytest.raises(StoreError):
            deliver(service, now)
        monkeypatch.undo()
        assert (only(service).state, only(service).attempts) == ("pending", tries)
        waits.append(only(service).at - now)
        assert deliver(service, only(service).at - timedelta(seconds=1)) == 0
        now = only(service).at
    assert len(receiver.requests) == 7
    assert waits[0] >= timedelta(seconds=60)
    assert waits[-1] >= HOUR


def test_what_was_claimed_and_not_reached_is_as_it_was(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    second = add_message(service, channel, "msg_2", attempts=3, error="It answered 500.")
    add_message(service, channel)
    held = []

    def look(_taken: object) -> Reply:
        held.extend(messages(service))
        return 500, {}, b""

    receiver.answer = look
    deliver(service, soon())
    assert [message.attempts for message in held] == [1, 4]
    assert min(message.at for message in held) > datetime.now(UTC) + timedelta(seconds=50)
    assert messages(service)[1] == second


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_one_has_claimed_no_other_sends(service: Service, receiver: Receiver, *, by_hand: bool) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    message = add_message(service, channel)
    now = soon()

    def meanwhile(_taken: object) -> Reply:
        assert deliver(service, now) == 0
        assert send_now(service, message, now).state == "pending"
        return 200, {}, b""

    receiver.answer = meanwhile
    if by_hand:
        send_now(service, message, now)
    else:
        assert deliver(service, now) == 1
    assert (only(service).state, only(service).attempts) == ("delivered", 1)
    assert len(receiver.requests) == 1


def test_many_that_deliver_at_once_send_each_message_once(receiver: Receiver, tmp_path: Path) -> None:
    service = opened(store=f"sqlite:///{tmp_path}/store.db")
    channel, _ = add_channel(service, address=receiver.url)
    for number in range(5):
        add_message(service, channel, f"msg_{number}")
    now = soon()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: deliver(service, now), range(4))) == 5
    assert len(receiver.requests) == 5
    service.close()


def test_every_secret_signs_until_its_end(service: Service, receiver: Receiver) -> None:
    channel, old = add_channel(service, address=receiver.url)
    with editing(service.catalog, "test") as edit:
        _, new = channels_of(service).rotate(edit, channel.id, overlap=HOUR)
    add_message(service, channel)
    deliver(service, soon())
    add_message(service, channel, "msg_2")
    deliver(service, soon() + HOUR)
    both, one = receiver.requests
    for secret in (old, new):
        Webhook(secret).verify(both.body, dict(both.headers.items()))
    Webhook(new).verify(one.body, dict(one.headers.items()))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(one.body, dict(one.headers.items()))


def test_no_more_than_five_secrets_and_none_for_mail(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    mail, _ = add_channel(service, "mail")
    with editing(service.catalog, "test") as edit:
        for _ in range(4):
            channels_of(service).rotate(edit, channel.id, overlap=HOUR)
        with pytest.raises(ConflictError, match="5 secrets"):
            channels_of(service).rotate(edit, channel.id, overlap=HOUR)
        rotated, secret = channels_of(service).rotate(edit, channel.id, overlap=timedelta())
        assert [one.secret for one in channels_of(service).signing(rotated, 0)] == [secret]
        with pytest.raises(ConflictError, match="nothing signs"):
            channels_of(service).rotate(edit, mail.id, overlap=HOUR)


def test_a_channel_that_is_put_right_gets_what_waits(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address="http://127.0.0.1:9/")
    add_message(service, channel)
    deliver(service, soon())
    assert "cannot be reached" in str(only(service).error)
    with editing(service.catalog, "test") as edit:
        channels_of(service).update(edit, channel.id, ChannelPatch(address=receiver.url))
        channels_of(service).update(edit, channel.id, ChannelPatch())
    assert deliver(service, only(service).at) == 1


def test_a_channel_that_is_taken_away_takes_what_waits_with_it(service: Service) -> None:
    channel, _ = add_channel(service)
    add_message(service, channel)
    with editing(service.catalog, "test") as edit:
        channels_of(service).remove(edit, channel.id)
    assert (only(service).state, only(service).error) == ("dead", "The channel was taken away.")
    with pytest.raises(ConflictError, match="taken away"), editing(service.catalog, "test") as edit:
        retry_message(edit, "msg_1")
    pending = replace(only(service), state="pending")
    with service.catalog.writing() as records:
        records.replace(pending)
    assert send_now(service, pending, soon()).state == "dead"


def test_mail_goes_out_and_waits_while_there_is_no_server(service: Service) -> None:
    channel, _ = add_channel(service)
    add_message(service, channel)
    deliver(service, soon())
    assert "set smtp to" in str(only(service).error)
    with Mailbox().open(None) as box:
        settled = replace(service, settings=replace(service.settings, smtp=f"smtp://127.0.0.1:{box.port}"))
        assert deliver(settled, only(service).at) == 1
    assert box.letters[0]["Message-ID"] == "<msg_1@shop.example>"


def test_a_test_by_hand_is_sent_once(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    with editing(service.catalog, "test") as edit:
        message = add_trial(edit, channel, by_hand=True)
    assert deliver(service, soon()) == 0
    assert send_now(service, message, datetime.now(UTC)).state == "delivered"
    assert deliver(service, soon() + HOUR) == 0
    assert len(receiver.requests) == 1


def test_channels_are_served_at_once(service: Service, receiver: Receiver) -> None:
    for number in range(4):
        channel, _ = add_channel(service, f"hook{number}", receiver.url)
        add_message(service, channel, f"msg_{number}")
    all_there = threading.Barrier(4, timeout=8)

    def wait_for_the_others(_taken: object) -> tuple[int, dict[str, str], bytes]:
        all_there.wait()
        return 200, {}, b""

    receiver.answer = wait_for_the_others
    assert deliver(service, soon()) == 4


def test_a_message_that_breaks_us_holds_nobody_up(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, _ = add_channel(service, "bad")
    good, _ = add_channel(service, "good", receiver.url)
    add_message(service, bad)
    add_message(service, good, "msg_2")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(delivery, "letter_for", fail)
    monkeypatch.setattr(delivery, "mail_server", lambda _: None)
    assert deliver(service, soon()) == 1
    first, _second = messages(service)
    assert (first.state, first.attempts) == ("pending", 1)
    assert first.error == "ZeroDivisionError: the log of the service says more."
    assert "should be reported" in caplog.text


def test_the_leader_sends_what_waits(service: Service, receiver: Receiver) -> None:
    channel, _ = add_channel(service, address=receiver.url)
    end = start_beats(beats_of(service), lambda: True)
    try:
        add_message(service, channel)
        deadline = time.monotonic() + 20
        while only(service).state == "pending" and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        end(5.0)
    assert only(service).state == "delivered"
    assert len(receiver.requests) == 1
