"""Channels: made, changed, their secrets rotated, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.alerts.letter import check_address
from tollkeeper.service.alerts.signing import SigningSecret, make_secret, open_sealed, seal
from tollkeeper.service.alerts.webhook import check_url
from tollkeeper.service.fields import Name
from tollkeeper.service.listing import find_record
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from datetime import timedelta

    from tollkeeper.service.audit import Edit

__all__ = ["ChannelPatch", "Channels", "NewChannel"]

MAX_SECRETS = 5
Address = Annotated[str, Meta(min_length=1, max_length=2048, description="An e-mail address, or a URL for webhooks.")]


class NewChannel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A channel to be made; ``secret`` is one for a webhook that is brought along."""

    name: Name
    kind: Literal["email", "webhook"]
    address: Address
    secret: Annotated[str, Meta(max_length=200)] | None = None


class ChannelPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a channel."""

    address: Address | UnsetType = UNSET


class Channels(Struct, frozen=True, kw_only=True):
    """The verbs of channels: ``pepper`` of the store seals secrets, ``private`` allows addresses of one's own network.

    All raise NotFoundError for a channel that is not there.
    """

    pepper: bytes
    private: bool

    def create(self, edit: Edit, new: NewChannel) -> tuple[AlertChannel, str | None]:
        """Make a channel; it and the secret of a webhook. Raises ConflictError or UnprocessableError."""
        if edit.records.find(AlertChannel, name=new.name):
            raise ConflictError(f"There is a channel {new.name!r} already.")
        if new.kind == "email" and new.secret is not None:
            raise UnprocessableError("An e-mail channel has no secret: leave it out.")
        channel = AlertChannel(
            id=record_id("chn"),
            name=new.name,
            kind=new.kind,
            address=self._checked(new.kind, new.address),
            created_at=edit.now,
        )
        secret = None
        if new.kind == "webhook":
            secret = make_secret(new.secret)
            channel = self._sealed(channel, [SigningSecret(secret)])
        edit.add(channel)
        return channel, secret

    def update(self, edit: Edit, channel_id: str, patch: ChannelPatch) -> AlertChannel:
        """Change a channel; raises UnprocessableError."""
        old = find_record(edit.records, AlertChannel, channel_id)
        if isinstance(patch.address, UnsetType):
            return old
        new = replace(old, address=self._checked(old.kind, patch.address))
        edit.replace(old, new)
        return new

    def rotate(
        self, edit: Edit, channel_id: str, *, overlap: timedelta, secret: str | None = None
    ) -> tuple[AlertChannel, str]:
        """Make a secret for a webhook; those before it sign as well, until ``overlap`` is over at the latest.

        Raises ConflictError for e-mail and when five secrets sign already, UnprocessableError.
        """
        old = find_record(edit.records, AlertChannel, channel_id)
        if old.kind != "webhook":
            raise ConflictError(f"The channel {old.name!r} sends e-mail, which nothing signs.")
        made, end = make_secret(secret), to_microseconds(edit.now + overlap)
        ending = [
            replace(one, until=min(end, one.until or end)) for one in self.signing(old, to_microseconds(edit.now))
        ]
        found = [SigningSecret(made), *(one for one in ending if overlap and one.secret != made)]
        if len(found) > MAX_SECRETS:
            raise ConflictError(
                f"{MAX_SECRETS} secrets sign already: rotate with an overlap of 0, or wait for their end."
            )
        new = self._sealed(old, found)
        edit.replace(old, new)
        return new, made

    def remove(self, edit: Edit, channel_id: str) -> None:
        """Take a channel away, also out of the rules; what still waits for it is dead."""
        channel = find_record(edit.records, AlertChannel, channel_id)
        for rule in edit.records.find(AlertRule):
            kept = {name: other for name, other in rule.channels.items() if other != channel.id}
            edit.replace(rule, replace(rule, channels=kept))
        for message in edit.records.find(Message, channel=channel.id, state="pending"):
            edit.records.replace(replace(message, state="dead", at=edit.now, error="The channel was taken away."))
        edit.remove(channel)

    def signing(self, channel: AlertChannel, now: int) -> list[SigningSecret]:
        """The secrets of a channel that sign at a time (µs since 1970), the newest first."""
        found = open_sealed(self.pepper, channel.salt, channel.secrets)
        return [one for one in found if one.until is None or now < one.until]

    def _checked(self, kind: str, address: str) -> str:
        return check_address(address) if kind == "email" else check_url(address, private=self.private)

    def _sealed(self, channel: AlertChannel, found: list[SigningSecret]) -> AlertChannel:
        salt, sealed = seal(self.pepper, found)
        return replace(channel, salt=salt, secrets=sealed)
