"""``/v1/plans``: how what was used becomes money."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.plan import Plan
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.plan_views import PlanView, show_plan
from tollkeeper.service.plans import NewPlan, PlanPatch, add_plan_price, create_plan, update_plan
from tollkeeper.service.selling.plan_prices import NewPlanPrice

__all__ = ["PLAN_HANDLERS"]

TAGS = ["Plans"]


@get("/v1/plans", sync_to_thread=True, summary="List plans", tags=TAGS)
def get_plans(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    name: Annotated[str | None, QueryParameter(description="Name of a plan.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[PlanView]]:
    """List plans, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, Plan, after=after, limit=limit, name=name)
    return paged(request, Listed([show_plan(plan) for plan in listed.items], listed.next))


@post("/v1/plans", sync_to_thread=True, opt=ADMIN, summary="Make a plan", tags=TAGS)
def post_plan(write: NamedDependency[Write], data: JSONBody[NewPlan]) -> Response[PlanView]:
    """Make a plan."""
    return write.create(lambda edit: show_plan(create_plan(edit, data)), data, "plans")


@get("/v1/plans/{plan:str}", sync_to_thread=True, summary="Show a plan", tags=TAGS)
def get_plan(service: NamedDependency[Service], plan: FromPath[str]) -> Response[PlanView]:
    """Show a plan."""
    with service.catalog.reading() as records:
        return shown(show_plan(find_record(records, Plan, plan)))


@patch("/v1/plans/{plan:str}", sync_to_thread=True, opt=ADMIN, summary="Change a plan", tags=TAGS)
def patch_plan(write: NamedDependency[Write], plan: FromPath[str], data: JSONBody[PlanPatch]) -> Response[PlanView]:
    """Change what is named; of a plan in use only its name, the trial of those to come, its limits, and prices to come.

    Limits, rates and prices take the place of all that there are. Limits and rates hold at once; prices of a plan in
    use keep their rows, and get others from then on.
    """
    return write.change(
        lambda edit: update_plan(edit, plan, data), lambda records: show_plan(find_record(records, Plan, plan)), data
    )


@post(
    "/v1/plans/{plan:str}/prices",
    sync_to_thread=True,
    status_code=200,
    opt=ADMIN,
    summary="Add to a plan's prices",
    tags=TAGS,
)
def post_plan_price(
    write: NamedDependency[Write], plan: FromPath[str], data: JSONBody[NewPlanPrice]
) -> Response[PlanView]:
    """Have another price of the same name from a time on, which ends the one before, or one more price."""
    return write.change(
        lambda edit: add_plan_price(edit, plan, data), lambda records: show_plan(find_record(records, Plan, plan)), data
    )


PLAN_HANDLERS = [get_plans, post_plan, get_plan, patch_plan, post_plan_price]
