"""``/v1/meters``: what is counted of the events, for prices of plans."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.queries import EndQuery, StartQuery, period_from
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.selling.meter_values import MeterValue, meter_value
from tollkeeper.service.selling.meters import MeterView, create_meter, remove_meter, show_meter

__all__ = ["METER_HANDLERS"]

TAGS = ["Meters"]
ONE = "/v1/meters/{meter:str}"


@get("/v1/meters", sync_to_thread=True, summary="List meters", tags=TAGS)
def get_meters(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    name: Annotated[str | None, QueryParameter(description="Name of a meter.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[MeterView]]:
    """List meters, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, MeterDefinition, after=after, limit=limit, name=name)
    return paged(request, Listed([show_meter(one) for one in listed.items], listed.next))


@post("/v1/meters", sync_to_thread=True, opt=ADMIN, summary="Make a meter", tags=TAGS)
def post_meter(write: NamedDependency[Write], data: JSONBody[Meter]) -> Response[MeterView]:
    """Make a meter; it is never changed."""
    return write.create(lambda edit: show_meter(create_meter(edit, data)), data, "meters")


@get(ONE, sync_to_thread=True, summary="Show a meter", tags=TAGS)
def get_meter(service: NamedDependency[Service], meter: FromPath[str]) -> Response[MeterView]:
    """Show a meter."""
    with service.catalog.reading() as records:
        return shown(show_meter(find_record(records, MeterDefinition, meter)))


@delete(ONE, sync_to_thread=True, opt=ADMIN, summary="Take a meter away", tags=TAGS)
def delete_meter(write: NamedDependency[Write], meter: FromPath[str]) -> Response[None]:
    """Take a meter away that no plan names."""
    return write.remove(
        lambda edit: remove_meter(edit, meter),
        lambda records: show_meter(find_record(records, MeterDefinition, meter)),
    )


@get(f"{ONE}/value", sync_to_thread=True, summary="Measure a customer", tags=TAGS)
def get_meter_value(
    service: NamedDependency[Service],
    meter: FromPath[str],
    customer: Annotated[str, QueryParameter(description="Id of the customer whose events are counted.")],
    start: StartQuery = None,
    end: EndQuery = None,
) -> Response[MeterValue]:
    """Say what the meter makes of all events of a customer, which takes as long as they are many."""
    value = meter_value(service, meter, customer, period_from(start, end))
    return Response(value, headers={"Cache-Control": "no-store"})


METER_HANDLERS = [get_meters, post_meter, get_meter, delete_meter, get_meter_value]
