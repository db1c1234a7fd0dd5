"""``/v1/jobs``: what the service does by the calendar."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from tollkeeper.api.writing import ADMIN
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import JobView, find_job, list_jobs
from tollkeeper.service.listing import Listed
from tollkeeper.store.operations import JobRun

__all__ = ["JOB_HANDLERS"]

TAGS = ["Jobs"]
NO_STORE = {"Cache-Control": "no-store"}


@get("/v1/jobs", sync_to_thread=True, summary="List jobs", tags=TAGS)
def get_jobs(service: NamedDependency[Service]) -> Response[Listed[JobView]]:
    """List all jobs, with when each is due next and its newest run."""
    return Response(Listed(list_jobs(service), None), headers=NO_STORE)


@post("/v1/jobs/{name:str}/run", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Run a job", tags=TAGS)
def post_job_run(service: NamedDependency[Service], name: FromPath[str]) -> Response[JobRun]:
    """Run a job now, whatever its schedule, and answer what came of it; the run may have failed."""
    return Response(run_now(service.catalog, find_job(service, name)), headers=NO_STORE)


JOB_HANDLERS = [get_jobs, post_job_run]
