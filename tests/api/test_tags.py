"""``/v1/tags`` over HTTP, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from api.conftest import Api


def make(api: Api, name: str) -> dict[str, Any]:
    answer = api.ingest.post("/v1/tags", json={"name": name})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/tags/{document['id']}"
    return document


def test_a_tag_is_made_used_and_shown(api: Api) -> None:
    made = make(api, "page 1/é")
    assert made == {"id": made["id"], "name": "page 1/é", "count": 0, "created_at": made["created_at"], "used_at": None}
    for count in (1, 2):
        answer = api.ingest.post(f"/v1/tags/{made['id']}/uses")
        assert (answer.status_code, answer.json()) == (201, {"count": count})
    shown = api.read.get(f"/v1/tags/{made['id']}").json()
    assert shown == made | {"count": 2, "used_at": shown["used_at"]}
    uses = api.read.get(f"/v1/tags/{made['id']}/uses").json()
    assert uses["next"] is None
    assert [use["n"] for use in uses["items"]] == [1, 2]
    times = [datetime.fromisoformat(use["at"]) for use in uses["items"]]
    assert datetime.now(UTC) - timedelta(minutes=1) < times[0] <= times[1] == datetime.fromisoformat(shown["used_at"])


def test_both_ways_count_the_same_tag(api: Api) -> None:
    made = make(api, "page1")
    assert api.admin.get("/update?tag=page1").text == "1"
    assert api.admin.post(f"/v1/tags/{made['id']}/uses").json() == {"count": 2}
    assert api.admin.get("/get?tag=page1").text == "2"
    assert api.admin.get("/create?tag=page1").status_code == 409


def test_a_name_is_found(api: Api) -> None:
    made = [make(api, name) for name in ("", "Page", "page")]
    for tag in made:
        assert api.read.get("/v1/tags", params={"name": tag["name"]}).json() == {"items": [tag], "next": None}
    assert api.read.get("/v1/tags", params={"name": "PAGE"}).json() == {"items": [], "next": None}


def pages(client: httpx.Client, path: str) -> list[list[Any]]:
    found = []
    answer = client.get(path)
    while True:
        found.append(answer.json()["items"])
        if "next" not in answer.links:
            assert answer.json()["next"] is None
            return found
        answer = client.get(path.partition("?")[0] + answer.links["next"]["url"])


def test_lists_come_in_pages(api: Api) -> None:
    made = [make(api, f"page {number}")["id"] for number in range(5)]
    assert [[tag["id"] for tag in page] for page in pages(api.read, "/v1/tags?limit=2")] == [
        made[:2],
        made[2:4],
        made[4:],
    ]
    for _ in range(5):
        api.ingest.post(f"/v1/tags/{made[0]}/uses")
    assert [[use["n"] for use in page] for page in pages(api.read, f"/v1/tags/{made[0]}/uses?limit=3")] == [
        [1, 2, 3],
        [4, 5],
    ]


def test_problems(api: Api) -> None:
    made = make(api, "page1")
    for answer, status, code in (
        (api.admin.post("/v1/tags", json={"name": "page1"}), 409, "conflict"),
        (api.admin.post("/v1/tags", json={"name": "x" * 1025}), 400, "bad_request"),
        (api.admin.post("/v1/tags", json={"name": "x", "count": 7}), 400, "bad_request"),
        (api.admin.post("/v1/tags", content=b'{"name": "\\ud800"}'), 400, "bad_request"),
        (api.admin.post("/v1/tags", json={}), 400, "bad_request"),
        (api.admin.get("/v1/tags/tag_0"), 404, "not_found"),
        (api.admin.get("/v1/tags/tag_0/uses"), 404, "not_found"),
        (api.admin.post("/v1/tags/tag_0/uses"), 404, "not_found"),
        (api.admin.get(f"/v1/tags/{made['id']}/uses?after=x"), 400, "invalid_request"),
        (api.admin.get("/v1/tags?limit=0"), 400, "bad_request"),
        (api.read.post("/v1/tags", json={"name": "y"}), 403, "forbidden"),
        (api.read.post(f"/v1/tags/{made['id']}/uses"), 403, "forbidden"),
        (api.ingest.get("/v1/tags"), 403, "forbidden"),
        (api.anonymous.get("/v1/tags"), 401, "unauthenticated"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.read.get(f"/v1/tags/{made['id']}").json()["count"] == 0


@pytest.mark.parametrize(
    "path", ["/v1/tags", "/v1/tags/{tag}", "/v1/tags/{tag}/uses", "/create", "/update", "/get", "/history"]
)
def test_every_call_is_described(api: Api, path: str) -> None:
    described = api.read.get("/openapi.json").json()["paths"]
    assert path in described
    if not path.startswith("/v1"):
        assert list(described[path]) == ["get"]
        assert next(one["name"] for one in described[path]["get"]["parameters"]) == "tag"
