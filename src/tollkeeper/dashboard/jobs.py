"""What the service does by the calendar: when, with what result; and run by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tollkeeper.dashboard.view import parse_view
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import find_job, list_jobs
from tollkeeper.service.listing import list_records
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["JOB_PAGES"]

PAGE = 50


@get("/jobs", sync_to_thread=True)
def jobs(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List the jobs with their newest runs."""
    return pages.render(request, "jobs.html", view=parse_view(request), jobs=list_jobs(service))


@get("/jobs/{job:str}", sync_to_thread=True)
def one_job(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    job: FromPath[str],
) -> Response[bytes]:
    """Show the runs of a job, newest first."""
    view = parse_view(request)
    after = view.query.get("after") or None
    name = find_job(service, job).name
    (shown,) = (one for one in list_jobs(service) if one.name == name)
    with service.catalog.reading() as records:
        listed = list_records(records, JobRun, after=after, limit=PAGE, newest_first=True, job=name)
    return pages.render(
        request, "job.html", view=view, job=shown, runs=listed.items, after=after, following=listed.next
    )


@post("/jobs/{job:str}/run", opt={"writes": True}, sync_to_thread=True)
def run_job(request: Request[Any, Any, Any], service: NamedDependency[Service], job: FromPath[str]) -> Response[Any]:
    """Run a job now, whatever its schedule, and show how it went."""
    run_now(service.catalog, found := find_job(service, job))
    return Redirect(parse_view(request).url(f"/jobs/{found.name}"), status_code=303)


JOB_PAGES = (jobs, one_job, run_job)
