"""What ``require_subscription`` was told, checked."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from msgspec import Struct

from tollkeeper.errors import ConfigurationError

__all__ = ["Requirement", "read_requirement"]

MICRO = 1_000_000
MAX_UNITS = 10**6


class Requirement(Struct, frozen=True):
    """How much a call counts, in millionths; ``endpoint`` where the framework cannot tell it."""

    units: int = MICRO
    endpoint: str | None = None


def read_requirement(units: float | str | Decimal, endpoint: str | None) -> Requirement:
    """Check them; raises ConfigurationError that says what they may be."""
    try:
        number = Decimal(str(units))
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and 0 <= number < MAX_UNITS):
        raise ConfigurationError(f"units is {units!r}: give a number from 0 to below {MAX_UNITS}.")
    if endpoint is not None and not endpoint.startswith("/"):
        raise ConfigurationError(f"endpoint is {endpoint!r}: give a template like '/users/{{id}}'.")
    return Requirement(int(number * MICRO), endpoint)
