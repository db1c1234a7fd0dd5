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


def compare(value: float | None, before: float | None, *, good: Literal["up", "down"]) -> Delta | None:
    """Say how a figure has changed; None when there is nothing to compare it with."""
    if value is None or not before:
        return None
    percent = 100 * (value - before) / before
    if abs(percent) < 0.05:  # noqa: PLR2004  # would be written as 0.0
        return Delta("0.0%", "flat")
    arrow, direction = ("▲", "up") if percent > 0 else ("▼", "down")
    size = f"{abs(percent):.1f}" if abs(percent) <= MAX_PERCENT else f">{MAX_PERCENT}"
    return Delta(f"{arrow} {size}%", "good" if direction == good else "bad")


def sparkline(values: Sequence[float | None]) -> Markup:
    """Draw a curve in the current colour; gaps are bridged, and nothing at all is a flat line."""
    known = [(index, value) for index, value in enumerate(values) if value is not None] or [(0, 0.0)]
    if len(known) == 1:
        known = [(0, known[0][1]), (max(len(values) - 1, 1), known[0][1])]
    low, high = min(value for _, value in known), max(value for _, value in known)
    last = max(len(values) - 1, 1)
    line = " ".join(
        f"{index * WIDTH / last:.1f},{(HEIGHT - 2) - (HEIGHT - 4) * (value - low) / (high - low or 1):.1f}"
        for index, value in known
    )
    left, right = known[0][0] * WIDTH / last, known[-1][0] * WIDTH / last
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<polygon points="{left:.1f},{h} {line} {right:.1f},{h}"/>'
        '<polyline points="{line}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, left=left, right=right, line=line)
