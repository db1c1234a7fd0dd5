"""What is sold, as a TOML file: APIs, versions, routes, prices, meters and plans."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price import check_amount
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.errors import ConfigurationError, ConflictError, UnprocessableError
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter
from tollkeeper.service.fields import Currency, Endpoint, Name, Time
from tollkeeper.service.plan_views import show_plan
from tollkeeper.service.plans import NewPlan
from tollkeeper.service.selling.meters import meter_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.store.protocols import Records

__all__ = ["CatalogFile", "FileRoute", "export_catalog", "read_catalog", "write_catalog"]


class FilePrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price per call; without ``valid_from`` it holds from the beginning of time."""

    price: Decimal
    currency: Currency
    valid_from: Time = EPOCH

    def __post_init__(self) -> None:
        check_amount("price", self.price)


class FileRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route with its prices; without ``endpoint`` it is the default route, without ``method`` for any."""

    api: Name
    version: Name
    endpoint: Endpoint | None = None
    method: Annotated[str, Meta(pattern=r"^[A-Z]{1,32}$(?!\n)")] | None = None
    retired: bool = False
    price: Annotated[list[FilePrice], Meta(max_length=1_000)] = []

    @property
    def title(self) -> str:
        """What a person calls the route."""
        return f"{self.api} {self.version} {self.method or 'any'} {self.endpoint or '(default)'}"


class FileApi(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API with the names of its versions, oldest first."""

    name: Name
    versions: list[Name] = []


class CatalogFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    api: list[FileApi] = []
    route: list[FileRoute] = []
    meter: list[Meter] = []
    plan: list[NewPlan] = []


def read_catalog(text: str, name: str) -> CatalogFile:
    """Read a file that is called ``name``; raises ConfigurationError."""
    try:
        return msgspec.toml.decode(text, type=CatalogFile)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigurationError(f"Cannot use {name}: {error}.") from None
    except (UnprocessableError, ConflictError) as error:
        raise ConfigurationError(f"Cannot use {name}: {error.detail}") from None
    except RecursionError:
        raise ConfigurationError(f"Cannot use {name}: it is nested too deep.") from None


def export_catalog(records: Records) -> CatalogFile:
    """The catalogue as a file."""
    versions = {version.id: version for version in records.find(ApiVersion)}
    apis = {api.id: api for api in records.find(Api)}
    prices = sorted(records.find(RoutePrice), key=lambda price: price.valid_from)
    return CatalogFile(
        api=[
            FileApi(name=api.name, versions=[one.name for one in versions.values() if one.api == api.id])
            for api in apis.values()
        ],
        route=[
            FileRoute(
                api=apis[versions[route.version].api].name,
                version=versions[route.version].name,
                endpoint=route.endpoint,
                method=route.method,
                retired=route.retired_at is not None,
                price=[
                    FilePrice(price=one.price, currency=one.currency, valid_from=one.valid_from)
                    for one in prices
                    if one.route == route.id
                ],
            )
            for route in records.find(ApiRoute)
        ],
        meter=[meter_of(definition) for definition in records.find(MeterDefinition)],
        plan=[
            NewPlan(**{name: value for name, value in asdict(plan).items() if name in NewPlan.__struct_fields__})
            for plan in map(show_plan, records.find(Plan))
        ],
    )


def write_catalog(catalog: CatalogFile) -> str:
    """The file as TOML; what has its default is left out."""
    named = ((field.name, getattr(catalog, field.name)) for field in msgspec.structs.fields(catalog))
    return "\n".join(table for name, items in named for table in _tables(name, items))


def _tables(name: str, items: Iterable[Any]) -> Iterator[str]:
    for item in items:
        lines = [f"[[{name}]]"]
        nested: list[str] = []
        for field in msgspec.structs.fields(item):
            value = getattr(item, field.name)
            if isinstance(value, list | tuple) and value and all(isinstance(one, Struct) for one in value):
                nested += _tables(f"{name}.{field.name}", value)
            elif value != _default(field):
                lines.append(f"{field.name} = {_value(value)}")
        yield "\n".join([*lines, *("\n" + table.rstrip() for table in nested)]) + "\n"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _value(value: Any) -> str:
    if isinstance(value, Struct):
        value = msgspec.to_builtins(value, builtin_types=(Decimal, datetime))
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_value(one)}' for name, one in value.items())} }}"
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return _text(format(value, "f") if isinstance(value, Decimal) else str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
