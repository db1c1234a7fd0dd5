"""Out of the outbox: each message to its channel, again and again until it is taken or nobody can be reached."""

from __future__ import annotations

import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.errors import SinkError, TollkeeperError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.alerts.channels import Channels
from tollkeeper.service.alerts.letter import letter_for
from tollkeeper.service.alerts.post_office import mail, mail_server
from tollkeeper.service.alerts.webhook import Target, post
from tollkeeper.store.operations import AlertChannel, Message

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["MAX_ATTEMPTS", "channels_of", "deliver", "send_now", "wait_after"]

MAX_ATTEMPTS = 14
FIRST_WAIT, LONGEST_WAIT = 5.0, 7_200.0
GROWTH = 4
AT_ONCE = 8
A_CHANNEL = 20
A_CHANNEL_SECONDS = 10.0
CLAIM = timedelta(seconds=60)
"""How long a message is left alone by others at least: longer than the turn of a channel, and than most tries."""
INSTANT = timedelta(microseconds=1)
log = logging.getLogger("tollkeeper")


class Claim(Struct, frozen=True):
    """A message as it was, and as the store holds it meanwhile: as if the try that is to come had failed."""

    message: Message
    held: Message


class Outcome(Struct, frozen=True):
    """What became of one try."""

    claim: Claim
    error: str | None = None
    retry: bool = True
    retry_after: float | None = None


def deliver(service: Service, now: datetime) -> int:
    """Send what is due at ``now``, and note what became of it; how many messages were delivered.

    At least once: a message that was sent and not noted goes out again, with the same id, a minute later or more.
    Nothing is sent that could not be claimed in the store before, so that two that call it at once do not both send
    it. Of a channel, messages go in order, and the first that fails holds those behind it up until the next call.
    Several channels are served at once, each for about 20 s at most, so that a slow one delays the next call by no
    more. Raises StoreError.
    """
    begun = time.monotonic()
    with service.catalog.reading() as records:
        waiting = [channel for channel in records.find(AlertChannel) if _due(records, channel, now, limit=1)]
    if not waiting:
        return 0

    def serve(channel: AlertChannel) -> int:
        # A channel may have waited long for its turn, and others go by the time that it is then.
        with service.catalog.writing() as records:
            claimed_at = now + timedelta(seconds=time.monotonic() - begun)
            claims = [_claim(records, message, claimed_at) for message in _due(records, channel, now, limit=A_CHANNEL)]
        return _serve(service, channel, claims, now)

    with ThreadPoolExecutor(min(AT_ONCE, len(waiting)), thread_name_prefix="tollkeeper-alerts") as pool:
        return sum(pool.map(serve, waiting))


def send_now(service: Service, message: Message, now: datetime) -> Message:
    """Send one message, note what became of it, and give it as it stands then; raises StoreError.

    One that somebody else has claimed, or changed, since it was read is left to them.
    """
    with service.catalog.writing() as records:
        channel = records.get(AlertChannel, message.channel)
        mine = records.get(Message, message.id) == message
        claim = _claim(records, message, now) if mine else None
    if claim is not None:
        gone = Outcome(claim, "The channel was taken away.", retry=False)
        _note(service, [_try(service, channel, claim, now) if channel else gone], [], now)
    with service.catalog.reading() as records:
        return records.get(Message, message.id) or message


def channels_of(service: Service) -> Channels:
    """The verbs of channels, as the settings have them."""
    return Channels(pepper=service.catalog.pepper(), private=service.settings.webhook_private)


def wait_after(attempts: int, share: float) -> timedelta:
    """How long to wait after so many failures: longer each time, up to two hours, of which half is by chance."""
    longest = min(FIRST_WAIT * GROWTH ** min(attempts - 1, 10), LONGEST_WAIT)
    return timedelta(seconds=longest * (0.5 + share / 2))


def _due(records: Records, channel: AlertChannel, now: datetime, *, limit: int) -> list[Message]:
    return records.page(Message, after=None, limit=limit, end=now + INSTANT, channel=channel.id, state="pending")


def _claim(records: Records, message: Message, now: datetime) -> Claim:
    attempts = message.attempts + 1
    held = replace(message, attempts=attempts, at=now + max(CLAIM, _wait(attempts)))
    records.replace(held)
    return Claim(message, held)


def _serve(service: Service, channel: AlertChannel, claims: list[Claim], now: datetime) -> int:
    outcomes: list[Outcome] = []
    until = time.monotonic() + A_CHANNEL_SECONDS
    for claim in claims:
        outcomes.append(_try(service, channel, claim, now))
        if outcomes[-1].error is not None or time.monotonic() >= until:
            break
    _note(service, outcomes, claims[len(outcomes) :], now)
    return sum(one.error is None for one in outcomes)


def _try(service: Service, channel: AlertChannel, claim: Claim, now: datetime) -> Outcome:
    settings, message = service.settings, claim.message
    try:
        if channel.kind == "email":
            mail(mail_server(settings.smtp), letter_for(message, channel.address, settings))
        else:
            secrets = channels_of(service).signing(channel, to_microseconds(now))
            target = Target(url=channel.address, secrets=secrets, private=settings.webhook_private)
            post(target, message, now=int(time.time()))
    except SinkError as error:
        return Outcome(claim, error.detail, error.retry, error.retry_after)
    except TollkeeperError as error:  # a setting or an address that can be put right meanwhile
        return Outcome(claim, error.detail)
    except Exception as error:
        # One message that cannot be sent, for whatever reason, must not keep those behind it waiting for ever.
        log.exception("The message %s failed, for a reason that should be reported.", message.id)
        return Outcome(claim, f"{type(error).__name__}: the log of the service says more.")
    return Outcome(claim)


def _note(service: Service, outcomes: list[Outcome], unreached: list[Claim], now: datetime) -> None:
    """Note what became of tries, and give back what was claimed and not tried, as it was."""
    became = [(outcome.claim, _after(outcome, now)) for outcome in outcomes]
    became += [(claim, claim.message) for claim in unreached]
    with service.catalog.writing() as records:
        for claim, message in became:
            # Somebody else may have sent it, too, or have asked for another try: then theirs is the word that counts.
            if records.get(Message, message.id) == claim.held:
                records.replace(message)


def _after(outcome: Outcome, now: datetime) -> Message:
    attempts = outcome.claim.held.attempts
    tried = replace(outcome.claim.message, attempts=attempts, error=outcome.error, at=now)
    if outcome.error is None:
        return replace(tried, state="delivered", delivered_at=now)
    if not outcome.retry or attempts >= MAX_ATTEMPTS:
        return replace(tried, state="dead")
    asked = timedelta(seconds=outcome.retry_after or 0)
    return replace(tried, at=now + max(_wait(attempts), asked))


def _wait(attempts: int) -> timedelta:
    return wait_after(attempts, random.random())  # noqa: S311  # spreads retries
