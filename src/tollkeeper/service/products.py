"""APIs and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.errors import ConflictError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Name
from tollkeeper.service.listing import find_named

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["NewApi", "create_api", "create_version", "ensure_version"]


class NewApi(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API or a version to be made, by the name that events call it."""

    name: Name


def create_api(edit: Edit, new: NewApi) -> Api:
    """Make an API; a name that is taken raises ConflictError."""
    if edit.records.find(Api, name=new.name):
        raise ConflictError(f"There is an API {new.name!r} already.")
    api = Api(id=record_id("api"), name=new.name, created_at=edit.now)
    edit.add(api)
    return api


def create_version(edit: Edit, api_name: str, new: NewApi) -> ApiVersion:
    """Make a version of an API; raises ConflictError, or UnprocessableError when there is no such API."""
    api = find_named(edit.records, Api, api_name, "name")
    if edit.records.find(ApiVersion, api=api.id, name=new.name):
        raise ConflictError(f"The API {api.name!r} has a version {new.name!r} already.")
    version = ApiVersion(id=record_id("ver"), api=api.id, name=new.name, created_at=edit.now)
    edit.add(version)
    return version


def ensure_version(edit: Edit, api_name: str, version_name: str) -> ApiVersion:
    """The version of the API of these names, both made where they are missing."""
    apis = edit.records.find(Api, name=api_name)
    api = apis[0] if apis else create_api(edit, NewApi(name=api_name))
    versions = edit.records.find(ApiVersion, api=api.id, name=version_name)
    return versions[0] if versions else create_version(edit, api.id, NewApi(name=version_name))
