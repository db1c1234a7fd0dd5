from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from sinks.cases.base import event
from support.opmsg import DROP, MongoFaults
from support.servers.mongodb import mongodb
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.mongodb import MongoDBSink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def faults() -> Iterator[MongoFaults]:
    with MongoFaults() as server:
        yield server


@pytest.fixture
def sink(faults: MongoFaults) -> Iterator[MongoDBSink]:
    made = MongoDBSink(faults.url, timeout=2)
    yield made
    made.close()


def ids(faults: MongoFaults) -> list[str]:
    return sorted(document["id"] for document in faults.documents.values())


def refusing(name: str, code: int = 121, **more: Any) -> Any:
    """Take all documents of an insert, but refuse one of them."""

    def answer(faults: MongoFaults, command: dict[str, Any]) -> dict[str, Any]:
        indexes = [index for index, found in enumerate(command["documents"]) if found["id"] == name]
        kept = [found for found in command["documents"] if found["id"] != name]
        answer = faults.insert(command | {"documents": kept})
        errors = [{"index": index, "code": code, "errmsg": "Document failed validation"} | more for index in indexes]
        return answer | {"writeErrors": [*answer.get("writeErrors", []), *errors]} if errors else answer

    return answer


def test_documents_can_be_compared_and_added_up_and_times_are_exact() -> None:
    server = mongodb()
    url = server.fresh_database()
    sink = MongoDBSink.from_url(url)
    moment = datetime(2024, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    body = Raw(b'{"$where": {"a.b": 1}, "": 2}')
    sink.send([event("1", time=moment, units=Decimal("0.1"), variables=body), event("2", units=Decimal("0.2"))])
    sink.close()
    with server.connect(url) as client:
        collection = client.get_default_database()["usage_events"]
        found = collection.find_one({"time": {"$gt": datetime(2024, 5, 1, 11, tzinfo=UTC)}})
        assert found is not None
        assert found["_id"] == {"source": "app", "id": "1"}
        assert found["time"] == moment.replace(microsecond=123_000)
        assert found["time_us"] == 1_714_564_800_123_456
        assert found["variables"] == {"$where": {"a.b": 1}, "": 2}
        assert "time_1" in collection.index_information()
        (total,) = collection.aggregate([{"$group": {"_id": None, "units": {"$sum": "$units"}}}])
        assert total["units"].to_decimal() == Decimal("0.3")


def test_another_collection() -> None:
    server = mongodb()
    url = server.fresh_database()
    sink = MongoDBSink(url, collection="calls.of-2024")
    sink.send([event("1")])
    sink.close()
    with server.connect(url) as client:
        assert client.get_default_database().list_collection_names() == ["calls.of-2024"]


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://u:s3cret@127.0.0.1:27017",
        "mongodb://u:s3cret@127.0.0.1:port/db",
        "mongodb://u:s3cret@@@/db",
        "mongodb://u:s3cret@host/db?timeoutMS=soon",
        "mongodb+srv://u:s3cret@cluster.example.org",
        "mysql://u:s3cret@host/db",
        "",
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_url_that_cannot_be_read_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mongodb://USER:PASSWORD@HOST:27017/DATABASE") as caught:
        MongoDBSink.from_url(url)
    assert "s3cret" not in str(caught.value)


def test_a_service_record_is_not_looked_up_before_it_is_needed() -> None:
    MongoDBSink.from_url("mongodb+srv://user:secret@cluster.invalid/usage").close()


def test_inserts_ask_for_a_majority_unless_the_url_says_otherwise(faults: MongoFaults, sink: MongoDBSink) -> None:
    sink.send([event("1")])
    other = MongoDBSink(f"{faults.url}&w=1")
    other.send([event("2")])
    other.close()
    inserts = [command for command in faults.commands if "insert" in command]
    assert [command.get("writeConcern", {}).get("w") for command in inserts] == ["majority", 1]
    assert not any(command["ordered"] for command in inserts)


def test_a_connection_that_drops_after_the_insert_counts_it_once(faults: MongoFaults, sink: MongoDBSink) -> None:
    def drop(command: dict[str, Any]) -> dict[str, Any]:
        faults.insert(command)
        return DROP

    sink.send([event("1")])
    faults.answers = [drop]
    sink.send([event("2"), event("3")])
    assert ids(faults) == ["1", "2", "3"]
    faults.answers = [drop, drop]
    with pytest.raises(SinkError) as caught:
        sink.send([event("4")])
    assert caught.value.retry
    sink.send([event("4")])
    assert ids(faults) == ["1", "2", "3", "4"]
    assert sink.rejected == 0


def test_a_document_that_is_refused_is_refused_alone(faults: MongoFaults, sink: MongoDBSink) -> None:
    refuse = refusing("poison")
    faults.answers = [lambda command: refuse(faults, command)] * 20
    sink.send([event("1"), event("poison"), event("2"), event("3")])
    assert sink.rejected == 1
    assert ids(faults) == ["1", "2", "3"]


def depth(value: Any) -> int:
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if nested is None else 1 + max(map(depth, nested), default=0)


@pytest.mark.parametrize(
    ("variables", "code", "refused"),
    [(b"[" * 99 + b"]" * 99, 15, 0), (b'"' + b"x" * 2**16 + b'"', 10334, 1)],
    ids=["too deep, plainer it fits", "too large"],
)
def test_a_whole_command_that_is_refused_for_one_document_is_halved(
    faults: MongoFaults, sink: MongoDBSink, variables: bytes, code: int, refused: int
) -> None:
    def check(command: dict[str, Any]) -> dict[str, Any]:
        for document in command["documents"]:
            if depth(document) > 100 or len(str(document)) > 2**16:
                return {"ok": 0.0, "code": code, "codeName": "No", "errmsg": "BSONObj exceeds what there may be"}
        return faults.insert(command)

    nested = Raw(b'{"body": %s}' % variables)
    faults.answers = [check] * 20
    sink.send([event("1"), event("odd", variables=nested), event("2")])
    assert ids(faults) == ["1", "2", "odd"][: 3 - refused]
    assert sink.rejected == refused


def test_what_is_no_document_is_helped_or_refused_before_it_is_sent(faults: MongoFaults, sink: MongoDBSink) -> None:
    plainer = [event("key", variables=Raw(b'{"a\\u0000b": 1}')), event("big", variables=Raw(b"[9223372036854775808]"))]
    sink.send([event("1"), *plainer, event("never", units=Decimal("1." + "3" * 40)), event("2")])
    assert ids(faults) == ["1", "2", "big", "key"]
    assert sink.rejected == 1
    kept = {document["id"]: document.get("variables") for document in faults.documents.values()}
    assert kept["key"] == {"a\ufffdb": 1}
    assert kept["big"] == ["9223372036854775808"]


def test_what_another_unique_index_refuses_is_no_duplicate_of_ours(faults: MongoFaults, sink: MongoDBSink) -> None:
    refuse = refusing("2", code=11000, keyPattern={"path": 1}, errmsg="E11000 index: path_1 dup key")
    faults.answers = [lambda command: refuse(faults, command)] * 20
    sink.send([event("1"), event("2")])
    assert sink.rejected == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary"}, "not primary"),
        ({"ok": 0.0, "code": 91, "codeName": "ShutdownInProgress", "errmsg": "shutting down"}, "shutting down"),
        ({"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on usage"}, "not authorized"),
        ({"ok": 1.0, "n": 1, "writeErrors": [{"index": 0, "code": 8000, "errmsg": "over quota"}]}, "over quota"),
        ({"ok": 1.0, "n": 1, "writeConcernError": {"code": 64, "errmsg": "waiting for replication"}}, "replication"),
    ],
)
def test_what_can_change_is_tried_again(
    faults: MongoFaults, sink: MongoDBSink, answer: dict[str, Any], text: str
) -> None:
    sink.send([event("1")])
    faults.answers = [answer, answer, answer, answer]
    with pytest.raises(SinkError, match=text) as caught:
        sink.send([event("2")])
    assert caught.value.retry
    faults.answers.clear()
    sink.send([event("2")])
    assert ids(faults) == ["1", "2"]
    assert sink.rejected == 0


@pytest.mark.parametrize("collection", ["..", "view"])
def test_a_name_that_cannot_be_a_collection_is_final(faults: MongoFaults, collection: str) -> None:
    sink = MongoDBSink(faults.url, collection=collection)
    faults.answers = [{"ok": 0.0, "code": 166, "errmsg": "usage.view is a view, not a collection"}]
    with pytest.raises(SinkError, match="name another collection") as caught:
        sink.send([event("1")])
    assert not caught.value.retry
    sink.close()


def test_a_server_that_does_not_answer_is_given_up(faults: MongoFaults) -> None:
    def wait(_: dict[str, Any]) -> dict[str, Any]:
        time.sleep(3)
        return {"ok": 1.0}

    faults.answers = [wait]
    sink = MongoDBSink(f"{faults.url}&timeoutMS=500", timeout=30)
    began = time.monotonic()
    with pytest.raises(SinkError, match=r"no server has answered in 0\.5 seconds"):
        sink.send([event("1")])
    assert time.monotonic() - began < 2.5
    sink.close()
