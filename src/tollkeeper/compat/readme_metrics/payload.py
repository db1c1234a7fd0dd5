"""From a request as it was observed to the log that ReadMe gets of it."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import msgspec

from tollkeeper.compat.readme_metrics.note import new_log_id
from tollkeeper.sinks.readme_log import LogRequest, LogResponse, make_log, mask, status_text

if TYPE_CHECKING:
    from tollkeeper.capture.exchange import RequestFacts
    from tollkeeper.compat.readme_metrics.note import Observed
    from tollkeeper.compat.readme_metrics.redaction import Lists
    from tollkeeper.sinks.readme_log import Pairs

__all__ = ["build_log"]

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/"
AUTHORIZATION = "Authorization"  # as a name of an environ is spelled
NO_TEXT = "[NOT VALID UTF-8]"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# What is not ASCII stays as people read it.
QUOTED_IN_PATH = re.compile(r"[^\w!$&'()*+,/:;=@.~-]", re.ASCII)


def build_log(observed: Observed, lists: Lists, *, development: bool) -> bytes:
    """Make the log of a request of which it was noted who called, as JSON."""
    note = observed.note
    note.identifier = note.identifier or new_log_id()  # the same when it is made again
    facts = observed.read(observed)
    log = make_log(
        note.identifier,
        {**note.caller.told, "id": mask(note.caller.key)},
        facts.peer,
        development=development,
        started=observed.time,
        elapsed=observed.elapsed,
        request=_request(observed, facts, lists),
        response=_response(observed, lists),
    )
    try:
        return msgspec.json.encode(log)
    except (UnicodeEncodeError, TypeError, OverflowError):  # half of a surrogate pair, or a label that is no text
        return json.dumps(log, default=str).encode()


def _request(observed: Observed, facts: RequestFacts, lists: Lists) -> LogRequest:
    query = _readable(facts.query)
    return LogRequest(
        method=facts.method,
        url=_url(facts, lists.query(query)),
        http_version=observed.note.http_version,
        headers=_masked(lists.headers(facts.headers or ()), lists),
        query=lists.pairs(parse_qsl(query, errors="replace")) if query else [],
        post=_post(observed, facts, lists),
    )


def _response(observed: Observed, lists: Lists) -> LogResponse:
    status = str(observed.status)
    code, _, reason = status.partition(" ")
    headers = [(str(name), str(value)) for name, value in observed.response_headers]
    told = {name.lower(): value for name, value in headers}
    announced = told.get("content-length", "")
    sent = observed.response_size or 0
    return LogResponse(
        status=int(code),
        reason=reason.upper() or status_text(int(code)),
        headers=lists.headers(headers),
        text=_text(observed.response_body, sent, lists),
        size=int(announced) if announced.isdecimal() else sent,
        content_type=told.get("content-type", ""),
    )


def _url(facts: RequestFacts, query: str) -> str:
    path = facts.path.decode("utf-8", "replace")
    host = facts.host.removesuffix(DEFAULT_PORTS.get(facts.scheme, ":"))
    url = f"{facts.scheme}://{host}{QUOTED_IN_PATH.sub(_quote_ascii, path)}"
    return f"{url}?{query}" if query else url


def _quote_ascii(found: re.Match[str]) -> str:
    return quote(found[0]) if found[0].isascii() else found[0]


def _masked(headers: Pairs, lists: Lists) -> Pairs:
    if lists.hides_header(AUTHORIZATION):
        return headers
    return [(name, mask(value)) if name == AUTHORIZATION else (name, value) for name, value in headers]


def _post(observed: Observed, facts: RequestFacts, lists: Lists) -> dict[str, Any] | None:
    body = observed.request_body
    size = facts.content_length if facts.content_length is not None else observed.request_size or 0
    if not size and not body:
        return None
    kind = facts.content_type or "text/plain"
    plain = kind.partition(";")[0].strip().lower()
    if plain.startswith(MULTIPART) or isinstance(body, list):
        return {"mimeType": kind, "text": ""}
    if plain == FORM:
        return {"mimeType": kind, "params": _named(lists.pairs(_fields(body, size)))}
    return {"mimeType": kind, "text": _text(body, size, lists)}


def _fields(body: bytes | None, size: int) -> Pairs:
    text = (body or b"").decode("utf-8", "replace")
    if body and len(body) < size:  # the last field may not be all there
        text = text.rpartition("&")[0]
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def _text(body: bytes | None, size: int, lists: Lists) -> str:
    if not body:
        return ""
    whole = len(body) >= size
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(body, whole)
    except UnicodeDecodeError:
        return NO_TEXT
    return lists.text(text, size=size, whole=whole)


def _named(pairs: Pairs) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _readable(query: str) -> str:
    """The query string as UTF-8, which a server gives as if each of its bytes were a character."""
    if query.isascii():
        return query
    try:
        return query.encode("latin-1").decode()
    except UnicodeError:
        return query
