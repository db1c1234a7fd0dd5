"""Hold an event to what was sent, what came back, and what the table says."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from conformance.capture.case import HOST

if TYPE_CHECKING:
    from conformance.capture.case import Case, Request, Run
    from conformance.capture.talk import Talk
    from conformance.capture.wire import Answer

__all__ = ["ABSENT", "Holds", "differences", "secrets"]

ABSENT = "(absent)"
HIDDEN = "[REDACTED]"
OF_THE_SERVER = {"date", "server", "connection", "transfer-encoding", "content-length", "keep-alive"}
UNKEPT = {
    "metadata": {"request.headers", "response.headers", "request.body", "response.body"},
    "headers": {"request.body", "response.body"},
    "bodies": set[str](),
}


class Holds(Struct, frozen=True):
    """What a part must contain: a text, or some headers by their names in any case; None takes any value."""

    part: str | dict[str, Any] | None


def secrets(value: Any, at: str = "event") -> list[str]:
    """Where the one secret of all cases got through."""
    if isinstance(value, dict):
        found = [secrets(name, f"a name in {at}") + secrets(part, f"{at}.{name}") for name, part in value.items()]
        return [*chain.from_iterable(found)]
    if isinstance(value, list):
        return [*chain.from_iterable(secrets(part, f"{at}[]") for part in value)]
    return [f"{at} tells the secret: {value!r}"] if "hunter2" in str(value) else []


def differences(  # noqa: PLR0917 - what an event is held to
    event: dict[str, Any], case: Case, number: int, talk: Talk, run: Run, level: str = "bodies"
) -> list[str]:
    """Tell what is wrong with the event of the request of that number."""
    request = case.requests[number]
    answer = talk.answers[number] if number < len(talk.answers) and run.door not in case.unanswered else None
    expected = _of_request(request, case) | _of_answer(request, answer) | case.expected(run)
    expected.pop("events", None)
    for name in UNKEPT[level]:
        expected[name] = ABSENT
    if level != "bodies":
        expected.pop("request.body_truncated", None)
        expected.pop("response.body_truncated", None)
    wrong = [
        f"{name}: {found!r} instead of {wanted!r}"
        for name, wanted in expected.items()
        if not _agrees(found := _part(event, name), wanted)
    ]
    wrong += secrets(event)
    if level != "metadata":
        wrong += _of_headers(event, request, answer)
    return wrong + _of_time(event, talk)


def _of_request(request: Request, case: Case) -> dict[str, Any]:
    target = urlsplit(request.target) if request.target.startswith("http") else None
    path = target.path if target else request.target.partition("?")[0]
    kind = next((value for name, value in request.headers if name == "Content-Type"), "")
    told: dict[str, Any] = {
        "method": request.method,
        "path": unquote(path, errors="replace"),
        "url": Holds(f"http://{HOST}/"),
        "client.user_agent": case.agent,
        "client.remote_address": "127.0.0.1",
        "request.mimetype": kind.partition(";")[0] or ABSENT,
    }
    if isinstance(request.body, bytes):
        told["request.content_length"] = request.promised or len(request.body)
    return told


def _of_answer(request: Request, answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return {}
    return {
        "status_code": answer.status,
        "response.mimetype": answer.header("content-type").partition(";")[0].strip().lower() or ABSENT,
        "response.content_length": 0 if request.method == "HEAD" else len(answer.body),
    }


def _of_headers(event: dict[str, Any], request: Request, answer: Answer | None) -> list[str]:
    """Every header is told, but those that the server adds; a value is told as it is, or hidden."""
    wrong = []
    sides = [("request", list(request.headers)), ("response", answer.headers if answer else [])]
    for side, headers in sides:
        shown = {name.lower(): value for name, value in event[side].get("headers", {}).items()}
        for name, value in headers:
            if name.lower() in OF_THE_SERVER | {"upgrade", "expect"}:
                continue
            told = json.dumps(shown.get(name.lower()), ensure_ascii=False)
            if HIDDEN not in told and json.dumps(value, ensure_ascii=False)[1:-1] not in told:
                wrong.append(f"{side} header {name}: {told} instead of {value!r}")
    return wrong


def _of_time(event: dict[str, Any], talk: Talk) -> list[str]:
    elapsed, first = event["request"].get("elapsed_time"), event["response"].get("first_byte_time")
    wrong = []
    if not talk.at_least <= elapsed <= talk.at_most:
        wrong.append(f"elapsed {elapsed} is not from {talk.at_least} to {talk.at_most}")
    if first is not None and not 0 < first <= min(elapsed + 1e-6, talk.first_at_most):
        wrong.append(f"first byte {first} is not from 0 to {elapsed} and {talk.first_at_most}")
    if (event["response"].get("content_length") or 0) and first is None:
        wrong.append("there is no time to the first byte")
    return wrong


def _part(event: dict[str, Any], name: str) -> Any:
    value: Any = event
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def _agrees(found: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Holds):
        return bool(found == wanted)
    if isinstance(wanted.part, dict):
        shown = {name.lower(): value for name, value in found.items()}
        return all(shown.get(name.lower()) == value for name, value in wanted.part.items())
    return wanted.part is None or (isinstance(found, str) and wanted.part in found)
