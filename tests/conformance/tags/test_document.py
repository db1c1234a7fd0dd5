"""Each statement about ``/create``, ``/update``, ``/get`` and ``/history``, by name."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from support.running import Api, running
from support.stores import store_url
from tollkeeper.errors import StoreError
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import find_job
from tollkeeper.service.tags import NewTag, create_tag
from tollkeeper.settings import Settings, load_settings
from tollkeeper.store.engines import open_stores
from tollkeeper.store.tags.opening import open_tags

if TYPE_CHECKING:
    from pathlib import Path

CALLS = ("/create", "/update", "/get", "/history")
TEXT = "text/html; charset=utf-8"
DAY = 86_400_000_000
STRANGE = [
    "Ünïcödé",
    "漢字",
    "😀👩‍👩‍👧",
    "a b",
    " ",
    "a+b&c=d#e?f/../g",
    "%zz",
    "%41",
    "a\0b",
    "a\r\nb",
    "\uffff",
    "'; DROP TABLE tag; --",
]


def call(client: httpx.Client, path: str, name: str) -> httpx.Response:
    return client.get(path, params={"tag": name})


def age(store: str, name: str, days: int) -> None:
    """Turn the uses of a tag into older ones."""
    engine = sa.create_engine(store.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE tag_use SET at = at - :age WHERE tag = (SELECT number FROM tag WHERE id = :id)"),
            {"age": days * DAY, "id": NewTag(name).id},
        )
    engine.dispose()


def assert_text(answer: httpx.Response, status: int, text: str) -> None:
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["cache-control"] == "no-store"


# The table


@pytest.mark.parametrize("path", CALLS)
def test_without_a_tag_the_answer_is_412_invalid_data(client: httpx.Client, path: str) -> None:
    assert_text(client.get(path), 412, "Invalid Data")


def test_create_answers_200_tag_created_successfully(client: httpx.Client) -> None:
    assert_text(call(client, "/create", "created"), 200, "Tag Created Successfully")


def test_create_again_answers_409_tag_already_exists(client: httpx.Client, tag: str) -> None:
    call(client, "/update", tag)
    assert_text(call(client, "/create", tag), 409, "Tag already exists!")
    assert call(client, "/get", tag).text == "1"


@pytest.mark.parametrize("path", ["/update", "/get"])
def test_an_unknown_tag_answers_404_tag_does_not_exist(client: httpx.Client, path: str) -> None:
    assert_text(call(client, path, "nobody"), 404, "Tag does not exist!")


def test_update_answers_200_with_the_new_use_count(client: httpx.Client, tag: str) -> None:
    for count in ("1", "2", "3"):
        assert_text(call(client, "/update", tag), 200, count)


def test_get_answers_200_with_the_use_count_unchanged(client: httpx.Client, tag: str) -> None:
    assert_text(call(client, "/get", tag), 200, "0")
    call(client, "/update", tag)
    for _ in range(3):
        assert_text(call(client, "/get", tag), 200, "1")
    assert len(call(client, "/history", tag).json()) == 1


def test_history_of_an_unknown_tag_answers_404_no_data_found(client: httpx.Client) -> None:
    assert_text(call(client, "/history", "nobody"), 404, "No Data Found!")


def test_history_of_a_tag_with_no_history_answers_404_no_data_found(client: httpx.Client, tag: str) -> None:
    assert_text(call(client, "/history", tag), 404, "No Data Found!")


def test_history_answers_200_with_json_of_numbers_and_dates(client: httpx.Client, tag: str) -> None:
    before = datetime.now(UTC)
    call(client, "/update", tag)
    call(client, "/update", tag)
    answer = call(client, "/history", tag)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    uses: dict[str, Any] = answer.json()
    assert list(uses) == ["1", "2"]
    for use in uses.values():
        assert list(use) == ["date"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", use["date"])
    dates = [datetime.fromisoformat(use["date"]).replace(tzinfo=UTC) for use in uses.values()]
    assert before <= dates[0] <= dates[1] <= datetime.now(UTC)


def test_a_date_has_six_digits_also_on_the_full_second(client: httpx.Client, store: str, tag: str) -> None:
    call(client, "/update", tag)
    engine = sa.create_engine(store.replace("postgresql:", "postgresql+psycopg:"))
    second = int(time.time()) * 1_000_000
    with engine.begin() as connection:
        number = sa.text("UPDATE tag_use SET at = :at WHERE tag = (SELECT number FROM tag WHERE id = :id)")
        connection.execute(number, {"at": second, "id": NewTag(tag).id})
    engine.dispose()
    assert call(client, "/history", tag).json()["1"]["date"].endswith(".000000")


# The words below the table


def test_n_counts_within_the_tag_in_order(client: httpx.Client, tag: str) -> None:
    other = f"{tag} other"
    call(client, "/create", other)
    for name in (tag, other, other, tag, other):
        call(client, "/update", name)
    assert list(call(client, "/history", tag).json()) == ["1", "2"]
    assert list(call(client, "/history", other).json()) == ["1", "2", "3"]


def test_an_empty_tag_is_a_valid_tag(client: httpx.Client) -> None:
    assert client.get("/get?tag=").status_code == 404
    assert_text(client.get("/create?tag="), 200, "Tag Created Successfully")
    assert_text(client.get("/create?tag"), 409, "Tag already exists!")
    assert_text(client.get("/update?tag="), 200, "1")
    assert_text(client.get("/get?tag=&x=y"), 200, "1")
    assert list(client.get("/history?tag=").json()) == ["1"]


def test_tags_are_case_sensitive(client: httpx.Client, tag: str) -> None:
    call(client, "/update", tag)
    assert call(client, "/get", tag.upper()).status_code == 404
    assert call(client, "/create", tag.upper()).status_code == 200
    assert [call(client, "/get", name).text for name in (tag, tag.upper())] == ["1", "0"]


def test_the_first_of_two_tag_parameters_wins(client: httpx.Client, tag: str) -> None:
    assert client.get(f"/update?tag={tag}&tag=nobody").text == "1"
    assert client.get(f"/update?x=1&tag=nobody&tag={tag}").status_code == 404
    assert client.get(f"/get?tag={tag}&tag=").text == "1"


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_any_unicode_is_a_tag(client: httpx.Client, name: str) -> None:
    path = f"?tag={quote(name, safe='')}"
    assert client.get(f"/create{path}").status_code == 200
    assert client.get(f"/update{path}").text == "1"
    assert client.get(f"/get{path}").text == "1"
    assert list(client.get(f"/history{path}").json()) == ["1"]
    assert client.get(f"/create{path}").status_code == 409


def test_texts_that_only_look_alike_are_other_tags(client: httpx.Client) -> None:
    for name in ("\u00e9", "e\u0301", "\u00c9", "\u00e9 "):
        assert call(client, "/create", name).status_code == 200


def test_a_tag_as_long_as_a_tag_may_be(client: httpx.Client) -> None:
    for letter in ("x", "😀"):
        assert call(client, "/create", letter * 1024).status_code == 200
        assert call(client, "/update", letter * 1024).text == "1"
        for path in CALLS:
            assert_text(call(client, path, letter * 1025), 412, "Invalid Data")


@pytest.mark.parametrize("path", CALLS)
def test_a_parameter_TAG_is_a_missing_tag(client: httpx.Client, path: str, tag: str) -> None:  # noqa: N802  # as it is sent
    assert_text(client.get(f"{path}?TAG={tag}"), 412, "Invalid Data")


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_get_only_any_other_method_is_405(client: httpx.Client, path: str, method: str, tag: str) -> None:
    assert client.request(method, path, params={"tag": tag}).status_code == 405
    assert call(client, "/get", tag).text == "0"


def test_head_must_not_count(client: httpx.Client, tag: str) -> None:
    answers = [client.head("/update", params={"tag": tag}) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 3
    assert call(client, "/get", tag).text == "0"
    assert call(client, "/history", tag).status_code == 404


def test_head_answers_what_get_would_and_makes_nothing(client: httpx.Client, tag: str) -> None:
    def codes(name: str) -> list[int]:
        return [client.head(path, params={"tag": name}).status_code for path in CALLS]

    assert codes("never made") == [200, 404, 404, 404]
    assert codes("never made") == [200, 404, 404, 404]
    assert codes(tag) == [409, 200, 200, 404]
    call(client, "/update", tag)
    assert codes(tag) == [409, 200, 200, 200]
    assert [client.head(path).status_code for path in CALLS] == [412] * 4


def test_history_entries_older_than_30_days_vanish_and_the_count_stays(
    client: httpx.Client, store: str, tag: str
) -> None:
    for _ in range(3):
        call(client, "/update", tag)
    age(store, tag, 29)
    assert list(call(client, "/history", tag).json()) == ["1", "2", "3"]
    age(store, tag, 1)
    assert call(client, "/update", tag).text == "4"
    assert list(call(client, "/history", tag).json()) == ["4"]
    age(store, tag, 30)
    assert_text(call(client, "/history", tag), 404, "No Data Found!")
    assert call(client, "/get", tag).text == "4"


def test_how_long_history_is_kept_is_a_setting(engine: str, tmp_path: Path) -> None:
    assert Settings().tag_history_days == 30
    store = store_url(engine, tmp_path)
    for opened in open_stores(store):
        opened.close()
    tags = open_tags(store)
    new = create_tag(tags, NewTag("short"))
    tags.use([(new.id, datetime.now(UTC) - timedelta(days=days)) for days in (3, 2, 1)])
    with running(load_settings({"TOLLKEEPER_TAG_HISTORY_DAYS": "2", "TOLLKEEPER_STORE": store})) as api:
        assert list(api.admin.get("/history?tag=short").json()) == ["3"]
        assert api.admin.get("/update?tag=short").text == "4"
        assert list(api.admin.get("/history?tag=short").json()) == ["3", "4"]
        assert run_now(api.service.catalog, find_job(api.service, "tag-history")).state == "done"
    assert [use.n for use in tags.history(new.id, since=datetime(2000, 1, 1, tzinfo=UTC), after=0, limit=9)] == [3, 4]
    tags.close()


def test_history_pages_when_long(client: httpx.Client, api: Api, tag: str) -> None:
    now = datetime.now(UTC)
    api.service.tags.use([(NewTag(tag).id, now)] * 10_001)
    first = call(client, "/history", tag)
    assert list(first.json()) == [str(n) for n in range(1, 10_001)]
    second = client.get(f"/history{first.links['next']['url']}")
    assert list(second.json()) == ["10001"]
    assert "link" not in second.headers


def test_a_page_of_history_begins_and_ends_where_it_is_asked_to(client: httpx.Client) -> None:
    name = "p&q é"
    call(client, "/create", name)
    for _ in range(5):
        call(client, "/update", name)
    page = client.get("/history", params={"tag": name, "limit": 2, "after": 1})
    assert list(page.json()) == ["2", "3"]
    page = client.get(f"/history{page.links['next']['url']}")
    assert list(page.json()) == ["4", "5"]
    assert page.links == {}
    assert_text(client.get("/history", params={"tag": name, "after": 5}), 404, "No Data Found!")
    for wrong in (
        {"after": "x"},
        {"after": "-1"},
        {"after": "9" * 30},
        {"limit": "0"},
        {"limit": "10001"},
        {"limit": "x"},
    ):
        assert_text(client.get("/history", params={"tag": name, **wrong}), 412, "Invalid Data")


# Better than the document's


def test_access_needs_a_token(guarded: Api, guarded_tag: str) -> None:
    assert not Settings().tags_public
    for path in CALLS:
        answer = call(guarded.anonymous, path, guarded_tag)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        wrong = guarded.anonymous.get(
            path, params={"tag": guarded_tag, "token": "x"}, headers={"Authorization": "Bearer x"}
        )
        assert wrong.status_code == 401


def test_writing_needs_a_token_that_may_send_and_reading_one_that_may_read(guarded: Api, guarded_tag: str) -> None:
    def codes(client: httpx.Client) -> list[int]:
        return [call(client, path, guarded_tag).status_code for path in CALLS]

    assert codes(guarded.ingest) == [409, 200, 403, 403]
    assert codes(guarded.read) == [403, 403, 200, 200]
    assert codes(guarded.admin) == [409, 200, 200, 200]
    assert [guarded.read.head(path, params={"tag": guarded_tag}).status_code for path in CALLS] == [403, 403, 200, 200]
    assert call(guarded.read, "/get", guarded_tag).text == "2"


def test_a_client_that_sends_a_url_only_has_the_token_before_the_host(guarded: Api, guarded_tag: str) -> None:
    secret = guarded.admin.headers["authorization"].partition(" ")[2]
    host = guarded.url.removeprefix("http://")
    assert httpx.get(f"http://tags:{secret}@{host}/update?tag={guarded_tag}").text == "1"
    assert httpx.get(f"http://{secret}@{host}/update?tag={guarded_tag}").text == "2"
    assert httpx.get(f"http://tags:wrong@{host}/update?tag={guarded_tag}").status_code == 401
    for broken in ("Basic", "Basic !", "Basic /w==", "Basic Og==", f"Digest {secret}"):
        assert guarded.anonymous.get(f"/update?tag={guarded_tag}", headers={"Authorization": broken}).status_code == 401


def test_a_token_in_the_query_is_none_because_addresses_are_logged(guarded: Api, guarded_tag: str) -> None:
    secret = guarded.admin.headers["authorization"].partition(" ")[2]
    assert guarded.anonymous.get(f"/get?tag={guarded_tag}&token={secret}").status_code == 401


def test_a_logged_in_browser_may_read_but_no_page_can_make_it_count(guarded: Api, guarded_tag: str) -> None:
    session = guarded.service.access.log_in_by_token(guarded.admin.headers["authorization"].partition(" ")[2])
    with httpx.Client(base_url=guarded.url, cookies={"tollkeeper_session": session}) as browser:
        assert call(browser, "/get", guarded_tag).text == "0"
        assert [call(browser, path, guarded_tag).status_code for path in ("/create", "/update")] == [401, 401]


def test_tollkeeper_tags_public_opens_the_four_calls_and_nothing_else(client: httpx.Client, tag: str) -> None:
    assert load_settings({"TOLLKEEPER_TAGS_PUBLIC": "true"}).tags_public
    assert [call(client, path, tag).status_code for path in CALLS] == [409, 200, 200, 200]
    assert client.get("/v1/tags").status_code == 401
    assert client.post("/v1/tags", json={"name": "x"}).status_code == 401


def test_a_store_that_fails_answers_503_and_has_counted_nothing(
    api: Api, client: httpx.Client, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(type(api.service.tags), "use", fail)
        answer = call(client, "/update", tag)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"]
    assert call(client, "/get", tag).text == "0"
    assert call(client, "/update", tag).text == "1"
