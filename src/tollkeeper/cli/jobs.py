"""``tollkeeper jobs``: what the service does by the calendar, seen and done from the terminal."""

from __future__ import annotations

import msgspec
import typer
from rich.table import Table

from tollkeeper.cli.options import StoreOption, console, opened
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import JobView, find_job, list_jobs

__all__ = ["jobs_app"]

jobs_app = typer.Typer(no_args_is_help=True, help="Jobs: what 'tollkeeper serve' does by the calendar.")


@jobs_app.command("list")
def list_command(
    *, as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."), store: StoreOption = None
) -> None:
    """List all jobs, with when each is due next and what came of its newest run."""
    with opened(store, must_exist=True) as service:
        found = list_jobs(service)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    table = Table("Job", "Schedule", "Next", "Last", "Purpose", box=None, header_style="bold", pad_edge=False)
    for job in found:
        table.add_row(job.name, job.schedule, f"{job.next_at:%Y-%m-%d %H:%M} UTC", _last(job), job.purpose)
    console().print(table)


@jobs_app.command("run")
def run_command(
    name: str = typer.Argument(metavar="NAME", help="Name of the job, as 'tollkeeper jobs list' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Run a job now, whatever its schedule; exit 1 if it fails. Safe while the service runs."""
    with opened(store, must_exist=True) as service:
        run = run_now(service.catalog, find_job(service, name))
    if run.state == "failed":
        typer.secho(f"{name} failed: {run.detail}", err=True, fg="red")
        raise typer.Exit(1)
    typer.echo(f"{name}: {run.detail}.")


def _last(job: JobView) -> str:
    run = job.last_run
    return "-" if run is None else f"{run.state}: {run.detail}"
