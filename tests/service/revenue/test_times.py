"""Response times from roll-ups, against the times of the calls themselves."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from support.usage import make_event
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Request
from tollkeeper.metering.usage import Filters
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.periods import Period
from tollkeeper.service.revenue.times import response_times
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.service.bootstrap import Service

START = 1_767_225_600_000_000
WHOLE = Period(START, START + 86_400_000_000)
FIRST = make_event().time.replace(year=2026, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
CALLS = [
    (("orders", version, route), (7 + 13 * number % 101) / 1000)
    for version, route, count in (("v1", "/a", 60), ("v1", "/b", 40), ("v2", "/a", 30))
    for number in range(count)
]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/times.db"))
    events = [
        make_event(
            number,
            time=FIRST + number * timedelta(minutes=7),
            api=api,
            api_version=version,
            route=route,
            request=Request(elapsed_time=elapsed),
        )
        for number, ((api, version, route), elapsed) in enumerate(CALLS)
    ]
    events.append(make_event("untimed", time=FIRST, route="/c"))
    service.events.append([("app", DecodedBatch(len(events), events, []))])
    fold_all(service.events)
    yield service
    service.close()


@pytest.mark.parametrize("by", ["api", "route"])
def test_best_average_and_percentiles_are_those_of_the_calls(service: Service, by: str) -> None:
    found = response_times(service.events, "api" if by == "api" else "route", WHOLE)
    parts = 2 if by == "api" else 3
    groups = {
        key: sorted(elapsed for _, elapsed in calls)
        for key, calls in groupby(sorted(CALLS), key=lambda call: call[0][:parts])
    }
    assert len(found) == len(groups) + 1
    assert [one.requests for one in found] == sorted((one.requests for one in found), reverse=True)
    for one in found[:-1]:
        key = (one.api, one.api_version) if one.route is None else (one.api, one.api_version, one.route)
        elapsed = groups[key]
        assert one.requests == one.timed == len(elapsed)
        assert one.average == pytest.approx(sum(elapsed) / len(elapsed))
        assert one.best == pytest.approx(elapsed[0], rel=0.0101)
        assert one.p50 == pytest.approx(elapsed[(len(elapsed) - 1) // 2], rel=0.0101)
        assert one.p95 == pytest.approx(elapsed[int(0.95 * (len(elapsed) - 1))], rel=0.0101)
    last = found[-1]
    assert (last.api, last.requests, last.timed) == (None, 1, 0)
    assert last.best is last.average is last.p95 is None


def test_some_can_be_asked_for(service: Service) -> None:
    (only,) = response_times(service.events, "route", WHOLE, filters=Filters(route="/b"))
    assert (only.method, only.route, only.requests) == ("GET", "/b", 40)
    assert len(response_times(service.events, "route", WHOLE, limit=2)) == 2
    assert response_times(service.events, "api", Period(0, 1)) == []
    with pytest.raises(InvalidRequestError, match="from < to"):
        response_times(service.events, "api", Period(1, 1))
