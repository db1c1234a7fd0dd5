"""What limits may say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from tollkeeper.billing.period import PeriodUnit
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.timestamps import END, EPOCH

if TYPE_CHECKING:
    from tollkeeper.billing.limit import Limit, Rate, Terms

__all__ = ["check_terms"]

ANCHORED = get_args(PeriodUnit)


def check_terms(terms: Terms, *, override: bool = False) -> Terms:
    """Refuse limits that contradict one another; raises UnprocessableError.

    Only an ``override`` may say that there is no limit: what a plan does not limit, it leaves out.
    """
    _check_names("limits", terms.limits)
    _check_names("rates", terms.rates)
    for limit in terms.limits:
        _check_anchor(limit)
    if not override:
        _check_figures(terms)
    return terms


def _check_names(what: str, items: list[Limit] | list[Rate]) -> None:
    names = [one.name for one in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UnprocessableError(f"Two {what} are called {twice!r}, for the same API, endpoint and period: give one.")


def _check_anchor(limit: Limit) -> None:
    if limit.anchor is None:
        return
    if limit.period not in ANCHORED:
        raise UnprocessableError(
            f"The limit {limit.name!r} has an anchor, which a {limit.period} period is not counted from: leave it out,"
            " or make it a limit of a day, week, month or year."
        )
    if not EPOCH <= limit.anchor < END:
        raise UnprocessableError(f"The anchor of the limit {limit.name!r} is not between the years 1970 and 9998.")


def _check_figures(terms: Terms) -> None:
    lifted = [one.name for one in terms.limits if one.limit is None] + [
        one.name for one in terms.rates if one.rate is None
    ]
    if lifted:
        raise UnprocessableError(f"The plan has {lifted[0]!r} without a figure: give one, or leave it out of the plan.")
