from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.stores import DURABLE, run_sql
from tollkeeper.events.event import UsageEvent

if TYPE_CHECKING:
    import httpx

    from api.conftest import Api

EVENT = {"time": "2026-10-31T12:00:00Z", "method": "GET", "path": "/items/7", "status_code": 200}


@pytest.fixture(params=DURABLE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert len(body["detail"]) > 10
    return body


def stored(api: Api) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = api.read.get("/v1/events?limit=1000").json()["events"]
    return events


def test_one_event_gets_an_id_and_the_tokens_name_as_source(api: Api) -> None:
    answer = api.ingest.post("/v1/events", json=EVENT)

    assert answer.status_code == 200
    assert answer.json() == {"received": 1, "stored": 1, "duplicate": 0, "rejected": 0, "errors": []}
    (event,) = stored(api)
    assert event["source"] == "ingest"
    assert len(event["id"]) == 36
    assert event["route"] == "/items/{id}"


def test_a_bad_event_never_rejects_its_neighbours(api: Api) -> None:
    bad: list[Any] = [
        {},
        7,
        None,
        EVENT | {"status_code": "two hundred"},
        EVENT | {"time": "yesterday"},
        EVENT | {"time": "2026-10-31T12:00:00"},
        EVENT | {"time": "1969-12-31T23:59:59Z"},
        EVENT | {"units": -1},
        EVENT | {"units": "0.0000001"},
        EVENT | {"units": "NaN"},
        EVENT | {"units": "sNaN"},
        EVENT | {"units": "999999.9999999999999999999999999999"},
        EVENT | {"units": 1_000_000},
        EVENT | {"time": "9999-12-31T23:59:59-12:00"},
        EVENT | {"path": "x" * 9_000},
        EVENT | {"variables": "x" * 6_000},
    ]
    batch = [item for wrong in bad for item in (wrong, EVENT)]
    receipt = api.ingest.post("/v1/events", json=batch).json()

    assert (receipt["received"], receipt["stored"], receipt["rejected"]) == (32, 16, 16)
    assert [error["index"] for error in receipt["errors"]] == list(range(0, 32, 2))
    assert {error["code"] for error in receipt["errors"]} == {"invalid_event", "event_too_large"}
    assert all(len(error["detail"]) > 10 for error in receipt["errors"])
    assert len(stored(api)) == 16


def test_a_retry_is_counted_once(api: Api) -> None:
    batch = [EVENT | {"id": str(number), "source": "shop"} for number in range(3)]
    first, second = (api.ingest.post("/v1/events", json=batch).json() for _ in range(2))

    assert (first["stored"], first["duplicate"]) == (3, 0)
    assert (second["stored"], second["duplicate"]) == (0, 3)
    assert len(stored(api)) == 3


def test_every_field_of_an_event_survives(api: Api) -> None:
    event = EVENT | {
        "id": "e1",
        "source": "shop-eu",
        "time": "2026-10-31T13:00:00.123456+01:00",
        "route": "/items/{item}",
        "url": "http://shop.test/items/7?page=2",
        "exception": "ValueError('boom')",
        "consumer": {"key": "acme", "label": "Acme", "email": "ops@acme.test", "group": "gold"},
        "api": "shop",
        "api_version": "v2",
        "units": 2.5,
        "variables": {"model": "large", "nested": [1, {"a": None}]},
        "client": {
            "referer": "http://a.test/",
            "authorization": "Bearer [REDACTED]",
            "origin": "http://a.test",
            "remote_address": "203.0.113.9",
            "user_agent": "curl/8.0",
            "platform": "linux",
            "browser": "curl 8.0",
        },
        "request": {
            "elapsed_time": 0.593111,
            "content_length": 12,
            "mimetype": "application/json",
            "headers": {"A": "b", "C": ["d", "e"]},
            "args": {"page": "2"},
            "body": {"x": [1, 2.5, None, True, "ü"]},
        },
        "response": {
            "content_length": 638,
            "mimetype": "application/json",
            "headers": {"Vary": "Origin"},
            "body": None,
        },
    }
    api.ingest.post("/v1/events", json=event)

    (found,) = stored(api)
    assert found == event | {"time": "2026-10-31T12:00:00.123456Z", "units": "2.5"}


def test_unknown_fields_of_later_releases_are_passed_over(api: Api) -> None:
    assert api.ingest.post("/v1/events", json=EVENT | {"colour": "green"}).json()["stored"] == 1


def test_cloudevents_one_and_many(api: Api) -> None:
    envelope = {"specversion": "1.0", "type": "request", "source": "/shop", "time": EVENT["time"]}
    data = {name: value for name, value in EVENT.items() if name != "time"}
    one = json.dumps(envelope | {"id": "c1", "data": data})
    many = json.dumps([envelope | {"id": f"c{number}", "data": data} for number in (1, 2)] + [{"specversion": "0.3"}])

    first = api.ingest.post("/v1/events", content=one, headers={"Content-Type": "application/cloudevents+json"})
    second = api.ingest.post(
        "/v1/events", content=many, headers={"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    )

    assert first.json()["stored"] == 1
    assert {name: second.json()[name] for name in ("stored", "duplicate", "rejected")} == {
        "stored": 1,
        "duplicate": 1,
        "rejected": 1,
    }
    assert {(event["source"], event["id"]) for event in stored(api)} == {("/shop", "c1"), ("/shop", "c2")}


def test_gzip(api: Api) -> None:
    body = gzip.compress(json.dumps([EVENT] * 3).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    assert api.ingest.post("/v1/events", content=body, headers=headers).json()["stored"] == 3
    broken = api.ingest.post("/v1/events", content=body[:-9], headers=headers)
    assert problem(broken, 400)["code"] == "invalid_encoding"
    appended = api.ingest.post("/v1/events", content=body + b"more", headers=headers)
    assert problem(appended, 400)["code"] == "invalid_encoding"
    other = api.ingest.post("/v1/events", content=body, headers=headers | {"Content-Encoding": "br"})
    assert problem(other, 400)["code"] == "invalid_encoding"


@pytest.mark.parametrize("body", [b"", b"[", b"{", b"[1,", b"hello", b'{"time":', b"\xff\xfe", b"[" * 5_000, b"null x"])
def test_what_is_not_json_is_refused_as_a_whole(api: Api, body: bytes) -> None:
    answer = api.ingest.post("/v1/events", content=body, headers={"Content-Type": "application/json"})

    assert problem(answer, 400)["code"] == "invalid_json"
    assert stored(api) == []


def test_limits_are_problems_with_413(api: Api) -> None:
    many = api.ingest.post("/v1/events", json=[EVENT] * 51)
    assert problem(many, 413)["code"] == "batch_too_large"
    large = api.ingest.post("/v1/events", json=EVENT | {"path": "x" * 100_001})
    assert problem(large, 413)["code"] == "body_too_large"
    alone = api.ingest.post("/v1/events", json=EVENT | {"variables": "x" * 6_000})
    assert problem(alone, 413)["code"] == "event_too_large"
    bomb = gzip.compress(b" " * 10_000_000)
    packed = api.ingest.post(
        "/v1/events", content=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    assert problem(packed, 413)["code"] == "body_too_large"

    def chunks() -> Any:
        for _ in range(30):
            yield b" " * 5_000

    streamed = api.ingest.post("/v1/events", content=chunks(), headers={"Content-Type": "application/json"})
    assert problem(streamed, 413)["code"] == "body_too_large"
    assert stored(api) == []


def test_an_unknown_content_type_says_which_are_known(api: Api) -> None:
    answer = api.ingest.post("/v1/events", content=b"a=1", headers={"Content-Type": "text/csv"})

    assert "application/cloudevents+json" in problem(answer, 415)["detail"]


def test_only_a_token_for_ingest_may_send(api: Api) -> None:
    assert problem(api.anonymous.post("/v1/events", json=EVENT), 401)["code"] == "unauthenticated"
    assert problem(api.read.post("/v1/events", json=EVENT), 403)["code"] == "forbidden"
    wrong = {"Authorization": "Bearer tkt_wrong"}
    answer = api.anonymous.post("/v1/events", json=EVENT, headers=wrong)
    assert problem(answer, 401)["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert api.admin.post("/v1/events", json=EVENT).status_code == 200


def test_a_revoked_token_is_refused_within_a_second(api: Api) -> None:
    assert api.ingest.post("/v1/events", json=EVENT).status_code == 200
    api.service.catalog.revoke_token("ingest")
    threading.Event().wait(1.1)

    assert problem(api.ingest.post("/v1/events", json=EVENT), 401)


def test_a_store_that_cannot_write_is_a_503_and_nothing_is_acknowledged(api: Api) -> None:
    store = api.service.settings.store
    api.ingest.post("/v1/events", json=EVENT)
    run_sql(store, "ALTER TABLE ledger RENAME TO burnt")
    answer = api.ingest.post("/v1/events", json=EVENT)
    run_sql(store, "ALTER TABLE burnt RENAME TO ledger")

    assert problem(answer, 503)["code"] == "store_unavailable"
    assert answer.headers["retry-after"] == "1"
    assert len(stored(api)) == 1
    assert api.ingest.post("/v1/events", json=EVENT).status_code == 200


def test_many_senders_at_once_are_each_answered_for_their_own(api: Api) -> None:
    receipts: list[tuple[int, int]] = []

    def send(size: int) -> None:
        for _ in range(5):
            answer = api.ingest.post("/v1/events", json=[EVENT] * size)
            receipts.append((size, answer.json()["stored"]))

    threads = [threading.Thread(target=send, args=(size,)) for size in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(receipts) == sorted([(size, size) for size in range(1, 21)] * 5)


def test_the_wire_schema_round_trips(api: Api) -> None:
    schema = api.read.get("/openapi.json").json()

    assert set(schema["components"]["schemas"]["UsageEvent"]["properties"]) == set(UsageEvent.__struct_fields__)
    assert sorted(schema["components"]["schemas"]["UsageEvent"]["required"]) == [
        "method",
        "path",
        "status_code",
        "time",
    ]


def test_text_that_was_cut_inside_a_character_spoils_only_its_own_event(api: Api) -> None:
    good = json.dumps(EVENT)
    cut = json.dumps(EVENT | {"path": "/\ud83d"})
    raw = good.replace('"GET"', '"GET", "variables": {"a": "\xff"}').encode("latin-1")
    body = b"[" + b",".join([good.encode(), cut.encode(), good.encode()]) + b"]"
    first = api.ingest.post("/v1/events", content=body, headers={"Content-Type": "application/json"}).json()
    second = api.ingest.post(
        "/v1/events", content=b"[" + raw + b"]", headers={"Content-Type": "application/json"}
    ).json()

    assert (first["stored"], [error["index"] for error in first["errors"]]) == (2, [1])
    assert second["rejected"] == 1
    assert len(stored(api)) == 2


def test_sums_beyond_64_bits_are_still_exact(api: Api) -> None:
    batch = [
        EVENT | {"time": f"2026-10-{day:02}T12:00:00Z", "units": "999999.999999", "response": {"content_length": 2**40}}
        for day in range(1, 26)
        for _ in range(2)
    ]
    for _ in range(3):
        assert api.ingest.post("/v1/events", json=batch).json()["stored"] == 50
    api.service.events.fold(75)
    rows = api.read.get("/v1/analytics/top?by=route&from=2026-10-01&to=2026-11-01").json()["rows"]

    assert rows[0]["bytes"] == 150 * 2**40
    assert rows[0]["units"] == pytest.approx(150 * 999999.999999)
