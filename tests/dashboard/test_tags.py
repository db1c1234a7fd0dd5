from __future__ import annotations

import csv
import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.service.tags import NewTag, create_tag

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

NOW = datetime.now(UTC)


def use(service: Service, name: str, *ago: timedelta) -> str:
    """Make a tag and use it so long ago; its address."""
    tag = create_tag(service.tags, NewTag(name))
    service.tags.use([(tag.id, NOW - one) for one in ago])
    return f"/tags/{tag.id}"


def rows(text: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2], re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in found]
    return [[html.unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def chart(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        html.unescape(text.partition('<script type="application/json">')[2].partition("<")[0])
    )
    return found


def test_without_tags_the_page_says_how_to_make_one(client: TestClient[Litestar]) -> None:
    text = client.get("/tags").text
    assert "/create?tag=page1" in text
    assert "/update?tag=page1" in text


def test_tags_are_ranked_with_their_uses_in_the_span(client: TestClient[Litestar], service: Service) -> None:
    use(service, "<page 1>", timedelta(minutes=1), timedelta(minutes=2), timedelta(days=3), timedelta(days=40))
    use(service, "", timedelta(days=3))
    use(service, "  ")
    text = client.get("/tags").text
    assert [row[:3] for row in rows(text)] == [["<page 1>", "4", "2"], ["Empty", "1", "0"], ["Blank", "0", "0"]]
    assert rows(text)[2][4] == "\N{EN DASH}"
    assert text.count('class="spark"') == 3
    assert [row[2] for row in rows(client.get("/tags?range=7d").text)] == ["3", "1", "0"]
    assert [row[2] for row in rows(client.get("/tags?range=90d").text)] == ["3", "1", "0"]
    assert "history for 30 days" in text
    assert 'href="/tags" aria-current="page"' in text


def test_many_tags_come_in_pages(client: TestClient[Litestar], service: Service) -> None:
    for number in range(60):
        use(service, f"page {number:02}", *[timedelta(minutes=1)] * (number % 3))
    first = client.get("/tags?range=7d").text
    following = html.unescape(re.findall(r'href="(/tags\?[^"]*after=[^"]*)"', first)[0])
    assert "range=7d" in following
    second = client.get(following).text
    assert (len(rows(first)), len(rows(second))) == (50, 10)
    assert len({row[0] for row in rows(first) + rows(second)}) == 60
    counts = [int(row[1]) for row in rows(first) + rows(second)]
    assert counts == sorted(counts, reverse=True)
    assert "after=" not in second
    assert "No more tags" in client.get("/tags?after=0.tag_").text


@pytest.mark.parametrize("cursor", ["x", "1", "-1.tag_0", "٣.tag_0", f"{2**63}.tag_0", "1." + "x" * 99])
def test_a_cursor_that_no_page_gave_is_refused(client: TestClient[Litestar], service: Service, cursor: str) -> None:
    use(service, "page1")
    answer = client.get("/tags", params={"after": cursor})
    assert answer.status_code == 400
    assert "take it from the page before" in answer.text


def test_one_tag_shows_its_count_its_chart_and_its_newest_uses(client: TestClient[Litestar], service: Service) -> None:
    address = use(service, "<page 1>", *[timedelta(hours=hours) for hours in range(30, -1, -1)])
    text = client.get(address).text
    assert "<h1>&lt;page 1&gt;</h1>" in text
    data = chart(text)
    assert sum(value or 0 for value in data["series"][0]["values"]) == 24
    assert len(data["t"]) == 96
    assert data["zoom"] == address
    newest = text.partition("Newest uses")[2]
    assert [row[1] for row in rows(newest)] == [str(n) for n in range(31, 11, -1)]
    assert client.get("/tags/tag_0").status_code == 404


def test_a_chart_tells_nothing_of_what_the_history_holds_no_more(
    client: TestClient[Litestar], service: Service
) -> None:
    address = use(service, "page1", timedelta(days=80), timedelta(days=5))
    values = chart(client.get(f"{address}?range=90d").text)["series"][0]["values"]
    assert len(values) == 90
    assert values[:58] == [None] * 58
    assert sum(values[-30:]) == 1
    assert "Newest uses" in client.get(address).text
    old = use(service, "page2", timedelta(days=80))
    assert "Newest uses" not in client.get(old).text


def test_all_tags_are_sent_as_csv(client: TestClient[Litestar], service: Service) -> None:
    use(service, "=1+1", timedelta())
    use(service, "page2")
    answer = client.get("/tags.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(answer.text.splitlines()))
    assert [(row["tag"], row["uses"], row["used_at"][:10]) for row in found] == [
        ("'=1+1", "1", NOW.isoformat()[:10]),
        ("page2", "0", ""),
    ]


def test_a_mount_is_honoured(make_client: Any, service: Service) -> None:
    use(service, "page1")
    browser = make_client(root_path="/tolls")
    session = service.access.log_in_by_token(service.access.create_token("other", "read"))
    browser.cookies.set("tollkeeper_session", session)
    text = browser.get("/tags").text
    assert 'href="/tolls/tags.csv"' in text
    assert 'href="/tolls/tags/tag_' in text
