"""The figures at the head of a page, each with its change and a small curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from markupsafe import Markup
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Card", "Delta", "compare", "sparkline"]

WIDTH, HEIGHT = 200, 32
MAX_PERCENT = 999


class Delta(Struct, frozen=True):
    """A change against the span before: in words and an arrow, and whether it is good news."""

    text: str
    mood: Literal["good", "bad", "flat"]


class Card(Struct, frozen=True, kw_only=True):
    """One figure; ``colour`` is the name of a custom property of the style sheet."""

    label: str
    value: str
    colour: str
    spark: Markup
    delta: Delta | None


def compare(
    value: float | None, before: float | None, *, good: Literal["up", "down"], points: bool = False
) -> Delta | None:
    """Say how a figure has changed, in per cent or, a share, in percentage points; None without one to compare with."""
    if value is None or before is None or not (before or points):
        return None
    change = 100 * (value - before) / (1 if points else before)
    unit = " pt" if points else "%"
    if abs(change) < 0.05:  # noqa: PLR2004  # would be written as 0.0
        return Delta(f"0.0{unit}", "flat")
    arrow, direction = ("▲", "up") if change > 0 else ("▼", "down")
    size = f"{abs(change):.1f}" if abs(change) <= MAX_PERCENT else f">{MAX_PERCENT}"
    return Delta(f"{arrow} {size}{unit}", "good" if direction == good else "bad")


def sparkline(values: Sequence[float | None]) -> Markup:
    """Draw a curve in the current colour; gaps are bridged, one point alone is a dot, and nothing known is nothing."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if not known:
        return Markup()
    low, high = min(value for _, value in known), max(value for _, value in known)
    last = max(len(values) - 1, 1)
    points = [(index * WIDTH / last, _height(value, low, high)) for index, value in known]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = Markup('<polyline class="dot" points="{line} {line}" vector-effect="non-scaling-stroke"/>')
    if len(points) > 1:
        drawn = Markup(
            '<polygon points="{left:.1f},{h} {line} {right:.1f},{h}"/>'
            '<polyline points="{line}" vector-effect="non-scaling-stroke"/>'
        )
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        "{drawn}</svg>"
    ).format(w=WIDTH, h=HEIGHT, drawn=drawn.format(left=points[0][0], right=points[-1][0], h=HEIGHT, line=line))


def _height(value: float, low: float, high: float) -> float:
    """From the top; what is always the same is in the middle, unless it is nothing at all."""
    share = (value - low) / (high - low) if high > low else 0.5 if value else 0.0
    return (HEIGHT - 2) - (HEIGHT - 4) * share
