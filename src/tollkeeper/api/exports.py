"""``/v1/exports``: charges as files, sent as they are made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from tollkeeper.errors import ConflictError, MissingDependencyError
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.exports.charges import export_charges
from tollkeeper.service.exports.focus import export_focus
from tollkeeper.service.exports.span import export_span
from tollkeeper.service.exports.writing import MEDIA_TYPES, write_export

__all__ = ["get_charges_file"]


@get("/v1/exports/charges", sync_to_thread=True, summary="Charges as a file", tags=["Revenue"])
def get_charges_file(
    *,
    service: NamedDependency[Service],
    file_format: Annotated[
        Literal["csv", "jsonl", "parquet"], QueryParameter(name="format", description="Kind of the file.")
    ] = "csv",
    focus: FromQuery[bool] = False,
    start: Annotated[
        str | None,
        QueryParameter(name="from", description="Issued from then on. Default: the start of last month."),
    ] = None,
    end: Annotated[
        str | None, QueryParameter(name="to", description="Issued before then. Default: now, or the end of last month.")
    ] = None,
) -> Stream:
    """Send the lines of what was issued in a time; with ``focus`` in the columns of FOCUS 1.2, taxes included."""
    first, last = export_span(start, end, datetime.now(UTC))
    export = (export_focus if focus else export_charges)(service.catalog, first, last)
    try:
        pieces: Any = write_export(export, file_format)
    except MissingDependencyError as error:
        raise ConflictError(error.detail, code="missing_dependency") from None
    name = f"tollkeeper-{'focus' if focus else 'charges'}-{first:%Y-%m-%d}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(pieces, media_type=MEDIA_TYPES[file_format], headers=headers)
