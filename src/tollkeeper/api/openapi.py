"""The description of the API (OpenAPI 3.1), and a page to read it: made of the code, without a script from afar."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from tollkeeper import __version__
from tollkeeper.api.gate import Admission, CheckRequest
from tollkeeper.api.problems import PROBLEM_JSON, Problem
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.types import Guard

__all__ = ["get_openapi", "openapi_config"]

REFERENCE = "#/components/schemas/{name}"
GENERIC = re.compile(r"Listed_(?:\w+\.)*(\w+)_(?=\")")
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; font-size: 1rem } code { font: 0.95em ui-monospace, monospace }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 600 }
th, td { padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid light-dark(#ddd, #333); vertical-align: top }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def openapi_config(guard: Guard) -> OpenAPIConfig:
    """What Litestar needs to describe the routes that it binds, with the page at ``/docs`` behind a guard."""
    return OpenAPIConfig(
        title="Tollkeeper",
        version=__version__,
        openapi_router=Router(
            "/docs", route_handlers=[], guards=[guard], include_in_schema=False, response_headers=PAGE_HEADERS
        ),
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
    """Add what Litestar does not bind: the ingest route, and the problem that every route may answer with.

    A page of customers is called ``CustomerPage``, where Litestar spells out the module and the type parameter.
    """
    schema = msgspec.json.decode(GENERIC.sub(r"\1Page", msgspec.json.encode(schema).decode()))
    (event, receipt, problem, check, admission), types = msgspec.json.schema_components(
        (UsageEvent, Receipt, Problem, CheckRequest, Admission), ref_template=REFERENCE
    )
    schema["components"].setdefault("schemas", {}).update(types)
    schema["paths"].setdefault("/v1/events", {})["post"] = _ingest(event, receipt)
    schema["paths"]["/v1/gate/check"] = {"post": _check(check, admission)}
    answer = {"description": "A problem (RFC 9457)", "content": {PROBLEM_JSON: {"schema": problem}}}
    for item in schema["paths"].values():
        for operation in item.values():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = answer
    return schema


def _ingest(event: dict[str, Any], receipt: dict[str, Any]) -> dict[str, Any]:
    cloud = {"type": "object", "required": ["specversion", "id", "source", "type", "data"]}
    return {
        "tags": ["Events"],
        "operationId": "IngestEvents",
        "summary": "Store events",
        "description": "Store one event or many, also as CloudEvents and gzipped; answers after the durable commit.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [event, {"type": "array", "items": event}]}},
                "application/cloudevents+json": {"schema": cloud},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": cloud}},
            },
        },
        "responses": {
            "200": {"description": "What became of them", "content": {"application/json": {"schema": receipt}}}
        },
    }


def _check(check: dict[str, Any], admission: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "RateLimit-Policy": "The limits that the call falls under.",
        "RateLimit": "What is left of them.",
    }
    return {
        "tags": ["Gate"],
        "operationId": "CheckCall",
        "summary": "Check a call",
        "description": "Say whether a call may be made now, and count or reserve it; answers after the durable commit.",
        "security": [{}],
        "parameters": [
            {"name": "apiKey", "in": "header", "description": "Key of a customer.", "schema": {"type": "string"}}
        ],
        "requestBody": {"content": {"application/json": {"schema": check}}},
        "responses": {
            "200": {
                "description": "It may be made",
                "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in fields.items()},
                "content": {"application/json": {"schema": admission}},
            }
        },
    }


class _DocsPage(OpenAPIRenderPlugin):
    """The API as one plain HTML page."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Write the page."""
        return "".join(_page(_complete(openapi_schema), request.scope.get("root_path", ""))).encode()


def _page(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tollkeeper API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>"
        f"<h1>Tollkeeper API {escape(schema['info']['version'])}</h1>"
        "<p>Send <code>Authorization: Bearer &lt;token&gt;</code>; "
        f'<a href="{escape(prefix)}/openapi.json">openapi.json</a> has every type. '
        "Errors are problem+json (RFC 9457).</p>"
    )
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
            if parameters := operation.get("parameters"):
                yield "<table><tr><th>Parameter</th><th>Required</th><th>Meaning</th></tr>"
                yield from map(_row, parameters)
                yield "</table>"
    yield "</main></body></html>"


def _row(parameter: dict[str, Any]) -> str:
    name, text = escape(parameter["name"]), escape(parameter.get("description", ""))
    required = "yes" if parameter.get("required") else "no"
    return f"<tr><td><code>{name}</code></td><td>{required}</td><td>{text}</td></tr>"
