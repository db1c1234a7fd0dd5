"""A field of an event by its path: ``units``, ``response.content_length``, ``variables.tokens.total``."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec
from msgspec import Raw, Struct

from tollkeeper.errors import UnprocessableError
from tollkeeper.events.event import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_path", "field_text", "field_value"]

MAX_TEXT_DIGITS = 60


def _exact(number: str) -> Decimal | str:
    """A number with the decimals that stand in the JSON, for a float would have others; one out of range stays text."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return number


EXACT_JSON = msgspec.json.Decoder(float_hook=_exact)
OBJECT = msgspec.json.Decoder(dict[str, Raw])


def check_path(path: str) -> str:
    """Refuse a path that no event can have; raises UnprocessableError. In JSON (``variables``) any name may stand."""
    allowed: Any = UsageEvent
    for name in path.split("."):
        inner = list(_types(allowed))
        if Raw in inner:
            return path
        record = next((one for one in inner if isinstance(one, type) and issubclass(one, Struct)), None)
        fields = record.__struct_fields__ if record else ()
        if name not in fields:
            hint = f"give one of {', '.join(fields)} in its place" if fields else "leave it out"
            raise UnprocessableError(f"An event has no field {path!r}, for want of {name!r}: {hint}.")
        allowed = get_type_hints(record)[name]
    return path


def field_value(event: UsageEvent, path: str) -> Any:
    """What stands in the field, None when there is nothing that can be read; numbers with decimals are Decimals.

    What stands beside it is not looked at, so that nothing there spoils it.
    """
    value: Any = event
    for name in path.split("."):
        value = _decoded(OBJECT, value) if isinstance(value, Raw) else value
        if isinstance(value, Struct):
            value = getattr(value, name)
        else:
            value = value.get(name) if isinstance(value, dict) else None
    value = _decoded(EXACT_JSON, value) if isinstance(value, Raw) else value
    return None if value is msgspec.UNSET else value


def field_text(event: UsageEvent, path: str) -> str | None:
    """The field as filters and groups read it: a text as it is, all else as JSON; None when there is nothing."""
    value = field_value(event, path)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal | float):
        return _decimal_text(Decimal(str(value)))
    value = msgspec.to_builtins(value)
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _decoded(decoder: msgspec.json.Decoder[Any], value: Raw) -> Any:
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, RecursionError):  # no object, thousands of digits, or nested too deep
        return None


def _decimal_text(number: Decimal) -> str:
    """The shortest text of a number, so that 1, 1.0 and 1e0 are one; what has too long a text stays as it came."""
    if abs(number.adjusted()) > MAX_TEXT_DIGITS:
        return str(number)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _types(hint: Any) -> Iterator[Any]:
    """The types that an annotation allows: those of a union, and what an Annotated is of."""
    arguments = get_args(hint)
    if not arguments:
        yield hint
    for argument in arguments:
        yield from _types(argument)
