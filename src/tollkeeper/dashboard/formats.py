"""How figures, sizes and times are written on a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.quota_status import NEAR

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

__all__ = ["FILTERS", "moment"]

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
KILO = 1000
STATUS_CLASSES = "12345"
FULL = 0.95
"""The share of a quota from which on it looks as if nothing were left."""
TOO_DEEP = "It is too deeply nested to be shown here; the API and an export have it."


def _compact(value: float) -> str:
    """Write a count with three digits and a letter: 950, 4.09K, 12.3M."""
    return _scaled(value, ("", "K", "M", "B", "T"))


def _scaled(value: float, units: tuple[str, ...]) -> str:
    """Write a value in the smallest unit, each a thousand of the one before, that keeps it to three digits."""
    power = 0
    while power < len(units) - 1 and round(value) >= KILO:
        value /= KILO
        power += 1
    digits = 0 if not power or value >= 99.95 else 1 if value >= 9.995 else 2  # noqa: PLR2004  # three digits in all
    return f"{value:.{digits}f}{units[power]}"


def _percent(share: float | None) -> str:
    if share is None:
        return NONE
    value = share * 100
    return "0%" if value == 0 else f"{value:.2f}%" if value < 10 else f"{value:.1f}%"  # noqa: PLR2004  # digits


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    ms = seconds * KILO
    if round(ms) >= KILO:
        return f"{seconds:.2f} s"
    return f"{ms:.0f} ms" if ms >= 9.95 else f"{ms:.1f} ms"  # noqa: PLR2004  # two digits at least


def _size(count: float | None) -> str:
    return NONE if count is None else _scaled(count, (" B", " KB", " MB", " GB", " TB"))


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def moment(time_us: int, form: str = "%b %-d, %H:%M") -> str:
    """Write microseconds since 1970 in UTC; the form is that of strftime."""
    time = datetime.fromtimestamp(time_us / 1_000_000, UTC)
    return time.strftime(form.replace("%-d", str(time.day)))


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pretty(value: Any) -> str:
    """Indent JSON; a text that holds JSON is indented too, any other stays as it is; what cannot be shown says so."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(parsed, dict | list):
            return value
        value = parsed
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return TOO_DEEP


def _status_class(code: int) -> str:
    head = str(code)[0]
    return f"{head}xx" if head in STATUS_CLASSES else "other"


def _when(time: datetime | None, form: str = "%b %-d, %Y, %H:%M") -> str:
    """Write a time of a record, in UTC."""
    return NONE if time is None else moment(to_microseconds(time), form)


def _amount(value: Decimal) -> str:
    """Write an exact amount without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _units(value: Decimal) -> str:
    """Write an exact amount with its thousands apart and without zeros at its end."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(value: Decimal) -> str:
    """Write an amount as it stands on an invoice: with all decimals of its currency, and its thousands apart."""
    return f"{value:,f}".replace("-", MINUS)


def _month(period: str, form: str = "%B %Y") -> str:
    """Write the name of a month that is given as 2026-10."""
    return datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC).strftime(form)


def _share(value: float) -> str:
    """Write how much of a quota is used: rounded down, so that 100% is said of nothing that has room."""
    percent = int(value * 100 + 1e-9)
    return "<1%" if value and not percent else f"{percent:,}%"


def _level(share: float) -> str:
    """How full a quota looks."""
    return "full" if share >= FULL else "near" if share >= NEAR else "fine"


def _point(value: Any, unit: str) -> str:
    """Write a value of a chart, whose unit it is."""
    if value is None:
        return NONE
    if unit == "percent":
        return _percent(value / 100)
    if unit == "ms":
        return _duration(value / KILO)
    return _money(value) if unit == "money" else _size(value) if unit == "bytes" else _whole(value)


FILTERS: dict[str, Callable[..., str]] = {
    "amount": _amount,
    "compact": _compact,
    "duration": _duration,
    "iso": _iso,
    "level": _level,
    "moment": moment,
    "money": _money,
    "month": _month,
    "percent": _percent,
    "point": _point,
    "pretty": _pretty,
    "share": _share,
    "size": _size,
    "status_class": _status_class,
    "units": _units,
    "when": _when,
    "whole": _whole,
}
"""The filters of the templates, by name."""
