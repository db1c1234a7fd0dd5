"""Limits as somebody types them: ``1000/day`` of all endpoints, ``5/minute:/orders`` of one."""

from __future__ import annotations

import typer

__all__ = ["LIMIT", "parse_limit", "parse_rate"]

LIMIT = typer.Option(
    None,
    "--limit",
    metavar="N/PERIOD[:ENDPOINT]",
    help="Units at most, e.g. 1000/day or 5/minute:/orders; repeatable.",
    show_default=False,
)


def parse_limit(text: str) -> dict[str, str]:
    """The fields of a limit, not checked yet."""
    return _parts(text, "limit", "period")


def parse_rate(text: str) -> dict[str, str]:
    """The fields of a rate, not checked yet."""
    return _parts(text, "rate", "per")


def _parts(text: str, figure: str, unit: str) -> dict[str, str]:
    number, _, rest = text.partition("/")
    period, _, endpoint = rest.partition(":")
    return {figure: number, unit: period} | ({"endpoint": endpoint} if endpoint else {})
