"""The description of the API (OpenAPI 3.1), and a page to read it: made of the code, without a script from afar."""

from __future__ import annotations

import copy
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from tollkeeper import __version__
from tollkeeper.api.problems import PROBLEM_JSON, Problem
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.types import Guard

__all__ = ["get_openapi", "openapi_config"]

REFERENCE = "#/components/schemas/{name}"


def openapi_config(guard: Guard) -> OpenAPIConfig:
    """What Litestar needs to describe the routes that it binds, with the page at ``/docs`` behind a guard."""
    return OpenAPIConfig(
        title="Tollkeeper",
        version=__version__,
        openapi_router=Router("/docs", route_handlers=[], guards=[guard], include_in_schema=False),
        render_plugins=[_DocsPage(path="/")],
        security=[{"token": []}],
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer", description="tollkeeper token create")
            }
        ),
    )


@get("/openapi.json", sync_to_thread=False, include_in_schema=False)
def get_openapi(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Describe every route."""
    return Response(_complete(request.app.openapi_schema.to_schema()))


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Add what Litestar does not bind: the ingest route, and the problem that every route may answer with."""
    schema = copy.deepcopy(schema)
    (event, receipt, problem), types = msgspec.json.schema_components(
        (UsageEvent, Receipt, Problem), ref_template=REFERENCE
    )
    schema["components"].setdefault("schemas", {}).update(types)
    batch = {"oneOf": [event, {"type": "array", "items": event}]}
    cloud = {"type": "object", "required": ["specversion", "id", "source", "type", "data"]}
    schema["paths"].setdefault("/v1/events", {})["post"] = {
        "tags": ["Events"],
        "operationId": "IngestEvents",
        "summary": "Store events",
        "description": "Store one event or many, also as CloudEvents and gzipped; answers after the durable commit.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": batch},
                "application/cloudevents+json": {"schema": cloud},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": cloud}},
            },
        },
        "responses": {
            "200": {"description": "What became of them", "content": {"application/json": {"schema": receipt}}}
        },
    }
    answer = {"description": "A problem (RFC 9457)", "content": {PROBLEM_JSON: {"schema": problem}}}
    for item in schema["paths"].values():
        for operation in item.values():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = answer
    return schema


class _DocsPage(OpenAPIRenderPlugin):
    """The API as one plain HTML page."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # Litestar's
        """Write the page."""
        return "".join(_page(_complete(openapi_schema))).encode()


def _page(schema: dict[str, Any]) -> Iterator[str]:
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tollkeeper API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>'
        f"<h1>Tollkeeper API {escape(schema['info']['version'])}</h1>"
        '<p>Send <code>Authorization: Bearer &lt;token&gt;</code>; <a href="../openapi.json">openapi.json</a> '
        "has every type. Errors are problem+json (RFC 9457).</p>"
    )
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}. "
            yield f"{escape(operation.get('description', ''))}</p>"
            if parameters := operation.get("parameters"):
                yield "<table><tr><th>Parameter</th><th>Required</th><th>Meaning</th></tr>"
                yield from map(_row, parameters)
                yield "</table>"
    yield "</main></body></html>"


def _row(parameter: dict[str, Any]) -> str:
    name, text = escape(parameter["name"]), escape(parameter.get("description", ""))
    required = "yes" if parameter.get("required") else "no"
    return f"<tr><td><code>{name}</code></td><td>{required}</td><td>{text}</td></tr>"
