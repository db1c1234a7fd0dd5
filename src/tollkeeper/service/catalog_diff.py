"""What a catalogue file would change, shown first and then done; the same steps for both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion
from tollkeeper.errors import ConflictError
from tollkeeper.service.audit import Edit
from tollkeeper.service.catalog_file import CatalogFile, FileRoute, export_catalog
from tollkeeper.service.listing import find_named
from tollkeeper.service.plans import PlanPatch, create_plan, update_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.selling.meters import create_meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.store.protocols import Records

__all__ = ["Step", "apply_steps", "compare"]


class Step(Struct, frozen=True):
    """One difference: ``+`` is to be made, ``~`` to be changed, ``!`` cannot be done; ``do`` is None for what stays."""

    text: str
    do: Callable[[Edit], object] | None


def compare(records: Records, wanted: CatalogFile) -> list[Step]:
    """What has to be done to make the catalogue as the file says; what is in the store alone is named, and stays."""
    present = export_catalog(records)
    parts = (_apis, _routes, _meters, _plans, _extra)
    return [step for part in parts for step in part(present, wanted)]


def apply_steps(edit: Edit, steps: list[Step]) -> int:
    """Do all steps in the transaction, and count them; one that cannot be done raises ConflictError."""
    todo = [step.do for step in steps if step.do]
    for do in todo:
        do(edit)
    return len(todo)


def _apis(present: CatalogFile, wanted: CatalogFile) -> Iterator[Step]:
    known = {api.name: set(api.versions) for api in present.api}
    for api in wanted.api:
        if api.name not in known:
            new = NewApi(name=api.name)
            yield Step(f"+ api {api.name}", partial(create_api, new=new))
        for version in api.versions:
            if version not in known.get(api.name, ()):
                made = NewApi(name=version)
                yield Step(
                    f"+ version {api.name} {version}",
                    partial(create_version, api_name=api.name, new=made),
                )


def _routes(present: CatalogFile, wanted: CatalogFile) -> Iterator[Step]:
    known = {_identity(route): route for route in present.route}
    for route in wanted.route:
        old = known.get(_identity(route))
        if old is None:
            new = NewRoute(api=route.api, version=route.version, endpoint=route.endpoint, method=route.method)
            yield Step(f"+ route {route.title}", partial(create_route, new=new))
        yield from _prices(old, route)
        if route.retired != (old.retired if old else False):
            word = "retired" if route.retired else "open"
            yield Step(
                f"~ route {route.title}: {word}",
                partial(_retire, route=route),
            )


def _prices(old: FileRoute | None, route: FileRoute) -> Iterator[Step]:
    known = {price.valid_from: price for price in old.price} if old else {}
    for price in route.price:
        text = f"price {route.title}: {price.price} {price.currency} from {price.valid_from.isoformat()}"
        there = known.get(price.valid_from)
        if there is None:
            new = NewPrice(price=price.price, currency=price.currency, valid_from=price.valid_from)
            yield Step(
                f"+ {text}",
                partial(_price, route=route, new=new),
            )
        elif there != price:
            problem = f"! {text}, but it is {there.price} {there.currency}, and prices are never edited"
            yield Step(problem, partial(_refuse, problem=problem, hint="give another time"))


def _meters(present: CatalogFile, wanted: CatalogFile) -> Iterator[Step]:
    known = {meter.name: meter for meter in present.meter}
    for meter in wanted.meter:
        if meter.name not in known:
            yield Step(f"+ meter {meter.name}", partial(create_meter, meter=meter))
        elif known[meter.name] != meter:
            problem = f"! meter {meter.name}: it is another, and meters are never changed"
            yield Step(problem, partial(_refuse, problem=problem, hint="give another name"))


def _plans(present: CatalogFile, wanted: CatalogFile) -> Iterator[Step]:
    known = {plan.name: asdict(plan) for plan in present.plan}
    for plan in wanted.plan:
        old = known.get(plan.name)
        if old is None:
            yield Step(f"+ plan {plan.name}", partial(create_plan, new=plan))
            continue
        changes = {name: value for name, value in asdict(plan).items() if value != old[name]}
        if changes:
            told = ", ".join(f"{name} {_told(old[name])} → {_told(value)}" for name, value in changes.items())
            patch = PlanPatch(**changes)
            yield Step(
                f"~ plan {plan.name}: {told}",
                partial(_change_plan, name=plan.name, patch=patch),
            )


def _extra(present: CatalogFile, wanted: CatalogFile) -> Iterator[Step]:
    routes = {_identity(route) for route in wanted.route}
    apis, meters, plans = ({one.name for one in of} for of in (wanted.api, wanted.meter, wanted.plan))
    only = [
        *(f"api {api.name}" for api in present.api if api.name not in apis),
        *(f"route {route.title}" for route in present.route if _identity(route) not in routes),
        *(f"meter {meter.name}" for meter in present.meter if meter.name not in meters),
        *(f"plan {plan.name}" for plan in present.plan if plan.name not in plans),
    ]
    yield from (Step(f"  only in the store: {name}", None) for name in only)


def _identity(route: FileRoute) -> tuple[str | None, ...]:
    return route.api, route.version, route.endpoint, route.method


def _find(records: Records, route: FileRoute) -> ApiRoute:
    api = find_named(records, Api, route.api, "name")
    version = find_named(records, ApiVersion, route.version, "name", api=api.id)
    return records.find(ApiRoute, version=version.id, endpoint=route.endpoint, method=route.method)[0]


def _retire(edit: Edit, route: FileRoute) -> None:
    set_retired(edit, _find(edit.records, route).id, retired=route.retired)


def _price(edit: Edit, route: FileRoute, new: NewPrice) -> None:
    create_price(edit, _find(edit.records, route).id, new)


def _change_plan(edit: Edit, name: str, patch: PlanPatch) -> None:
    update_plan(edit, find_named(edit.records, Plan, name, "name").id, patch)


def _refuse(_edit: Edit, problem: str, hint: str) -> None:
    raise ConflictError(f"Cannot apply: {problem.removeprefix('! ')}: {hint}, or correct the file.")


def _told(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value
