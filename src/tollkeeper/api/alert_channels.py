"""``/v1/alerts/channels``: where alerts go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.service.alerts.channels import ChannelPatch, NewChannel
from tollkeeper.service.alerts.delivery import channels_of
from tollkeeper.service.alerts.outbox import MessageView, add_trial, show_messages
from tollkeeper.service.alerts.views import ChannelView, show_channel
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.store.operations import AlertChannel

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["CHANNEL_HANDLERS"]

TAGS = ["Alerts"]
CHANNELS = "/v1/alerts/channels"
CHANNEL = f"{CHANNELS}/{{channel:str}}"


class SecretRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the secrets so far sign beside the new one, in seconds; a day when left out."""

    overlap: Annotated[int, Meta(ge=0, le=366 * 86_400)] = 86_400
    secret: Annotated[str, Meta(max_length=200)] | None = None


@get(CHANNELS, sync_to_thread=True, opt=ADMIN, summary="List channels", tags=TAGS)
def get_channels(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    name: Annotated[str | None, QueryParameter(description="Name of a channel.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[ChannelView]]:
    """List channels without their secrets, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, AlertChannel, after=after, limit=limit, name=name)
    return paged(request, Listed([show_channel(channel) for channel in listed.items], listed.next))


@post(CHANNELS, sync_to_thread=True, opt=ADMIN, summary="Make a channel", tags=TAGS)
def post_channel(
    service: NamedDependency[Service], write: NamedDependency[Write], data: JSONBody[NewChannel]
) -> Response[ChannelView]:
    """Make a channel; the answer has the secret of a webhook, no other has."""

    def make(edit: Edit) -> ChannelView:
        channel, secret = channels_of(service).create(edit, data)
        return show_channel(channel, secret=secret)

    return write.create(make, data, "alerts/channels")


@get(CHANNEL, sync_to_thread=True, opt=ADMIN, summary="Show a channel", tags=TAGS)
def get_channel(service: NamedDependency[Service], channel: FromPath[str]) -> Response[ChannelView]:
    """Show a channel without its secrets."""
    with service.catalog.reading() as records:
        return shown(show_channel(find_record(records, AlertChannel, channel)))


@patch(CHANNEL, sync_to_thread=True, opt=ADMIN, summary="Change a channel", tags=TAGS)
def patch_channel(
    service: NamedDependency[Service],
    write: NamedDependency[Write],
    channel: FromPath[str],
    data: JSONBody[ChannelPatch],
) -> Response[ChannelView]:
    """Change where a channel leads."""
    return write.change(
        lambda edit: channels_of(service).update(edit, channel, data),
        lambda records: show_channel(find_record(records, AlertChannel, channel)),
        data,
    )


@delete(CHANNEL, sync_to_thread=True, opt=ADMIN, summary="Take a channel away", tags=TAGS)
def delete_channel(
    service: NamedDependency[Service], write: NamedDependency[Write], channel: FromPath[str]
) -> Response[None]:
    """Take a channel away, also out of the rules; what still waits for it is dead."""
    return write.remove(
        lambda edit: channels_of(service).remove(edit, channel),
        lambda records: show_channel(find_record(records, AlertChannel, channel)),
    )


@post(f"{CHANNEL}/rotate", sync_to_thread=True, opt=ADMIN, summary="Rotate a secret", tags=TAGS)
def rotate_secret(
    service: NamedDependency[Service],
    write: NamedDependency[Write],
    channel: FromPath[str],
    data: JSONBody[SecretRotation],
) -> Response[ChannelView]:
    """Make a secret for a webhook; those before it sign as well for a while. The answer has the new one."""

    def rotate(edit: Edit) -> ChannelView:
        rotated, secret = channels_of(service).rotate(
            edit, channel, overlap=timedelta(seconds=data.overlap), secret=data.secret
        )
        return show_channel(rotated, secret=secret)

    return write.create(rotate, data, "alerts/channels")


@post(f"{CHANNEL}/test", sync_to_thread=True, opt=ADMIN, summary="Test a channel", tags=TAGS)
def post_test(write: NamedDependency[Write], channel: FromPath[str]) -> Response[MessageView]:
    """Put a test into the outbox, from where it goes within seconds; the message tells what became of it."""

    def make(edit: Edit) -> MessageView:
        message = add_trial(edit, find_record(edit.records, AlertChannel, channel))
        return show_messages(edit.records, [message])[0]

    return write.create(make, None, "alerts/messages")


CHANNEL_HANDLERS = [
    get_channels,
    post_channel,
    get_channel,
    patch_channel,
    delete_channel,
    rotate_secret,
    post_test,
]
