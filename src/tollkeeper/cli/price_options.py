"""Prices as somebody types them: ``0.01`` a unit, or a price model as JSON."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import typer

from tollkeeper.errors import UnprocessableError

__all__ = ["MODEL", "parse_model"]

MODEL = typer.Argument(metavar="MODEL", help="Price of a unit, e.g. 0.01, or a price model as JSON.")
EXAMPLE = '{"model": "flat_fee", "fee": "20"}'
# A number stays the text that it is: a float would have other decimals.
EXACT_JSON = msgspec.json.Decoder(float_hook=str)


def parse_model(text: str) -> dict[str, Any]:
    """The price model, not checked yet; raises UnprocessableError for what is neither a number nor a JSON object."""
    try:
        Decimal(text)
    except InvalidOperation:
        pass
    else:
        return {"model": "per_unit", "unit_price": text}
    try:
        found = EXACT_JSON.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnprocessableError(f"The price is {text[:100]!r}: give what a unit costs, e.g. 0.01, or {EXAMPLE}.")
    return found
