"""What the owner of an app may ask of capture, the same for every door."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from msgspec import Struct

from tollkeeper.capture.content import KEPT
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    import os

    from tollkeeper.events.event import Consumer

__all__ = ["CaptureOptions", "Options", "read_options"]

Level = Literal["metadata", "headers", "bodies"]
AddressLevel = Literal["full", "truncated", "none"]
OnFailure = Literal["admit", "deny"]
Told = Mapping[str, object] | str | None


class Options(TypedDict, total=False):
    """The keyword arguments that every door takes; docs/capture.md tells what each does."""

    identify: Callable[[Any], Consumer | Told] | None
    api: str | Callable[[Any], str | None] | None
    api_version: str | Callable[[Any], str | None] | None
    source: str | None
    capture: Level
    max_body_bytes: int
    content_types: Sequence[str]
    deny: Sequence[str]
    allow: Sequence[str]
    redact: Callable[[str, Any], Any] | None
    hide_emails: bool
    ip: AddressLevel
    exclude: Sequence[str | int | Callable[[Any], bool]]
    sample: float
    trust_proxy: bool
    spool: str | os.PathLike[str] | None
    gate: bool
    gate_key: Callable[[Any], Any] | None
    gate_headers: bool
    on_failure: OnFailure


class CaptureOptions(Struct, frozen=True, kw_only=True):
    """Options that have been checked. ``asked`` are the host's functions of the request, by what they decide."""

    level: Level = "bodies"
    max_body_bytes: int = 16 * 2**10
    content_types: tuple[str, ...] = KEPT
    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    redact: Callable[[str, Any], Any] | None = None
    hide_emails: bool = False
    ip: AddressLevel = "full"
    sample: float = 1.0
    trust_proxy: bool = False
    gate: bool = False
    gate_key: Callable[[Any], Any] | None = None
    gate_headers: bool = False
    on_failure: OnFailure = "admit"
    source: str | None = None
    api: str | None = None
    api_version: str | None = None
    asked: tuple[tuple[str, Callable[[Any], Any]], ...] = ()
    excluded_routes: re.Pattern[str] | None = None
    excluded_methods: frozenset[str] = frozenset()
    excluded_statuses: frozenset[int] = frozenset()

    def excludes(self, method: str, route: str, status: int) -> bool:
        """Whether a request is to be left out, as far as these three decide."""
        return (
            method in self.excluded_methods
            or status in self.excluded_statuses
            or (self.excluded_routes is not None and self.excluded_routes.fullmatch(route) is not None)
        )


def read_options(options: Options) -> CaptureOptions:
    """Check the options; raises ConfigurationError that says which one is wrong and what it may be."""
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise ConfigurationError(f"Unknown option {', '.join(sorted(unknown))}: docs/capture.md lists what there is.")
    sample, limit = options.get("sample", 1.0), options.get("max_body_bytes", 16 * 2**10)
    if not 0 <= sample <= 1:
        raise ConfigurationError(f"sample is {sample!r}: give the share of requests to keep in detail, from 0 to 1.")
    if limit < 0:
        raise ConfigurationError(f"max_body_bytes is {limit!r}: give a number of bytes, 0 or more.")
    return CaptureOptions(
        level=_one_of("capture", options.get("capture", "bodies"), Level),
        max_body_bytes=limit,
        content_types=tuple(kind.lower() for kind in _texts("content_types", options.get("content_types", KEPT))),
        deny=_texts("deny", options.get("deny", ())),
        allow=_texts("allow", options.get("allow", ())),
        redact=options.get("redact"),
        hide_emails=options.get("hide_emails", False),
        ip=_one_of("ip", options.get("ip", "full"), AddressLevel),
        sample=sample,
        trust_proxy=options.get("trust_proxy", False),
        gate=options.get("gate", False),
        gate_key=options.get("gate_key"),
        gate_headers=options.get("gate_headers", False),
        on_failure=_one_of("on_failure", options.get("on_failure", "admit"), OnFailure),
        source=options.get("source"),
        **_asked(options),
        **_exclusions(_texts("exclude", options.get("exclude", ()))),
    )


def _asked(options: Options) -> dict[str, Any]:
    """What is given as a function of the request, and what as a text."""
    functions: list[tuple[str, Any]] = [("exclude", rule) for rule in options.get("exclude", ()) if callable(rule)]
    if options.get("identify") is not None:
        functions.append(("consumer", options["identify"]))
    texts: dict[str, Any] = {}
    for name, given in (("api", options.get("api")), ("api_version", options.get("api_version"))):
        if callable(given):
            functions.append((name, given))
        else:
            texts[name] = given
    return {"asked": tuple(functions), **texts}


def _one_of(name: str, value: str, kind: Any) -> Any:
    allowed = get_args(kind)
    if value not in allowed:
        raise ConfigurationError(
            f"{name} is {value!r}: make it {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}."
        )
    return value


def _texts(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str):  # a lone text would be taken for a list of letters
        raise ConfigurationError(f"{name} is the text {values!r}: make it a list, [{values!r}].")
    return tuple(values)


def _exclusions(rules: Sequence[Any]) -> dict[str, Any]:
    routes, methods, statuses = [], set(), set()
    for rule in rules:
        if isinstance(rule, int) and not isinstance(rule, bool):
            statuses.add(rule)
        elif isinstance(rule, str) and rule[:1] in {"/", "("}:
            routes.append(fnmatch.translate(rule))
        elif isinstance(rule, str) and rule.isalpha():
            methods.add(rule.upper())
        elif not callable(rule):
            raise ConfigurationError(
                f"exclude has {rule!r}: give routes ('/health', '/static/*'), methods ('OPTIONS'), "
                "statuses (404) or functions of the request."
            )
    return {
        "excluded_routes": re.compile("|".join(routes)) if routes else None,
        "excluded_methods": frozenset(methods),
        "excluded_statuses": frozenset(statuses),
    }
