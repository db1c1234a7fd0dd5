"""What an alert says to a person, in plain words: a headline, a sentence, and the facts below it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tollkeeper.store.operations import Message

__all__ = ["Words", "words_for"]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
LONGEST = 500
LABELS = {
    "customer_name": "Customer",
    "consumer": "Key",
    "api": "API",
    "endpoint": "Endpoint",
    "code": "Code",
    "limit": "Limit",
    "used": "Used",
    "allowed": "Allowed",
    "starts_at": "Period from",
    "ends_at": "Period to",
    "requests": "Requests",
    "errors": "Errors",
    "error_rate": "Error rate",
    "latency_p95": "95th percentile",
    "threshold": "Threshold",
    "minutes": "Minutes",
    "last_seen": "Last request",
    "rule": "Rule",
}
MOMENTS = frozenset({"starts_at", "ends_at", "last_seen"})


class Words(Struct, frozen=True, kw_only=True):
    """An alert in words; ``headline`` is one line without control characters, ``link`` leads to the dashboard."""

    headline: str
    sentence: str
    facts: list[tuple[str, str]]
    link: str | None
    urgent: bool


def words_for(message: Message, public_url: str) -> Words:
    """Word a message; texts in it come from anybody, so they lose control characters and what is too long."""
    found = {name: value for name, value in message.document.items() if value is not None}
    kind = str(found.get("kind", ""))
    headline, sentence = PHRASES.get(kind, _other)(found)
    facts = [(label, _shown(name, found)) for name, label in LABELS.items() if name in found]
    return Words(
        headline=_line(headline),
        sentence=_line(sentence),
        facts=[*facts, ("Time", message.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"))],
        link=_link(found, public_url),
        urgent=kind not in {"test", "quota_reset"} and not (kind == "quota" and _number(found, "share") < 1),
    )


def _invalid_subscription(found: Mapping[str, Any]) -> tuple[str, str]:
    who = found.get("customer_name") or "a key that is not registered"
    if found.get("code") == "no_subscription":
        return f"{who} called without a subscription", f"No subscription was in force when {who} called."
    if str(found.get("code")) in {"api_key_revoked", "api_key_expired"}:
        return f"{who} called with a key out of force", f"The key of {who} was revoked or has expired, and is used."
    return "A key that is not registered was used", "Somebody called with a key that nobody is known by."


def _quota(found: Mapping[str, Any]) -> tuple[str, str]:
    who = found.get("customer_name") or "A customer"
    share = _number(found, "share")
    headline = f"{who} has used {share:.0%} of {found.get('limit', 'a limit')}"
    used, allowed = (_units(found.get(name)) for name in ("used", "allowed"))
    if share < 1:
        return headline, f"{used} of {allowed} units are gone before the period is over."
    refused = "Calls are refused until it is." if found.get("hard") else "The limit is soft: calls go on."
    return headline, f"All {allowed} units are gone before the period is over. {refused}"


def _quota_reset(found: Mapping[str, Any]) -> tuple[str, str]:
    who = found.get("customer_name") or "A customer"
    used, allowed = (_units(found.get(name)) for name in ("used", "allowed"))
    headline = f"A period of {found.get('limit', 'a limit')} is over for {who}"
    return headline, f"{used} of {allowed} units were used in it; a new one has begun."


def _error_rate(found: Mapping[str, Any]) -> tuple[str, str]:
    rate = _number(found, "error_rate")
    errors, requests = (_units(found.get(name)) for name in ("errors", "requests"))
    return (
        f"{rate:.1%} of requests to {_scope(found)} fail",
        f"{errors} of {requests} requests in {found.get('minutes')} minutes were errors.",
    )


def _latency(found: Mapping[str, Any]) -> tuple[str, str]:
    seconds = _number(found, "latency_p95")
    return (
        f"{_scope(found)} takes {seconds:.3g} s",
        f"5% of {_units(found.get('requests'))} requests in {found.get('minutes')} minutes took that long or longer.",
    )


def _silence(found: Mapping[str, Any]) -> tuple[str, str]:
    return (
        f"No requests to {_scope(found)} for {found.get('minutes')} minutes",
        f"The last one came at {_moment(found.get('last_seen'))}.",
    )


def _test(found: Mapping[str, Any]) -> tuple[str, str]:
    return "This is a test", f"The channel {found.get('channel', '')} works: alerts arrive like this one."


def _other(found: Mapping[str, Any]) -> tuple[str, str]:
    return f"Alert: {found.get('kind', 'unknown')}", "Something happened that you asked to be told of."


PHRASES: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "invalid_subscription": _invalid_subscription,
    "quota": _quota,
    "quota_reset": _quota_reset,
    "error_rate": _error_rate,
    "latency": _latency,
    "silence": _silence,
    "test": _test,
}


def _scope(found: Mapping[str, Any]) -> str:
    named = " ".join(str(found[name]) for name in ("api", "endpoint") if name in found)
    who = f" by {found['customer_name']}" if "customer_name" in found else ""
    return f"{named or 'all APIs'}{who}"


def _number(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _moment(value: object) -> str:
    """A time (RFC 3339) in UTC, to the minute; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return str(value)


def _units(value: object) -> str:
    """A quantity with its thousands apart, and no more decimals than it has."""
    if not isinstance(value, int | float):
        return "?" if value is None else str(value)
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _shown(name: str, found: Mapping[str, Any]) -> str:
    """A fact: shares per cent, latencies in seconds, other numbers with their thousands apart."""
    value = found[name]
    if name in MOMENTS:
        return _line(_moment(value))
    if not isinstance(value, int | float):
        return _line(str(value))
    meaning = found.get("kind") if name == "threshold" else name
    if meaning in {"error_rate", "quota"}:
        return f"{value:.1%}"
    return f"{value:.3g} s" if meaning in {"latency", "latency_p95"} else _units(value)


def _link(found: Mapping[str, Any], public_url: str) -> str | None:
    base = public_url.strip().rstrip("/")
    if not base.startswith(("http://", "https://")) or CONTROL.search(base) or '"' in base:
        return None
    customer = found.get("customer")
    return f"{base}/customers/{quote(str(customer), safe='')}" if customer else f"{base}/"


def _line(text: str) -> str:
    kept = " ".join(CONTROL.sub(" ", text).split())
    return kept if len(kept) <= LONGEST else f"{kept[: LONGEST - 1]}…"
