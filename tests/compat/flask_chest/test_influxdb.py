"""The chest that is a bucket of InfluxDB 2, by influxdb-client."""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask

from compat.flask_chest.apps import make_app
from support.receiver import Receiver
from support.servers.influxdb import InfluxDB, influxdb, parse_bucket
from tollkeeper.compat.flask_chest import FlaskChestInfluxDB
from tollkeeper.errors import ConfigurationError, SinkError

pytestmark = pytest.mark.timeout(120)
ADA = ("user", "ada", "17")


@pytest.fixture(scope="module")
def server() -> InfluxDB:
    return influxdb()


@pytest.fixture
def bucket(server: InfluxDB) -> str:
    return server.fresh_bucket()


def parts_of(bucket: str) -> dict[str, Any]:
    parts = urlsplit(bucket.removeprefix("influxdb+"))
    return {
        "url": f"{parts.scheme}://{parts.hostname}:{parts.port}",
        "token": unquote(parts.password or ""),
        "org": parts.path.split("/")[1],
        "bucket": parse_bucket(bucket),
    }


def test_the_defaults_are_those_of_the_document() -> None:
    chest = FlaskChestInfluxDB("http://localhost:8086")
    assert (chest.org, chest.bucket, chest.custom_tags) == ("my-org", "my-bucket", {})
    assert chest._token == ""
    made = [
        FlaskChestInfluxDB(),
        FlaskChestInfluxDB(https=True, host="influx", port=1, token=None),
        FlaskChestInfluxDB(Flask("shop"), host="influx"),
        FlaskChestInfluxDB(app=Flask("shop"), https=False, host="influx", port=8086),
    ]
    assert [chest.db_uri for chest in made] == [
        "http://localhost:8086",
        "https://influx:1",
        "http://influx:8086",
        "http://influx:8086",
    ]
    assert [chest.app is None for chest in made] == [True, True, False, False]


def test_a_request_is_written_in_the_layout_of_the_document(server: InfluxDB, bucket: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket), custom_tags={"app": "shop", "zone": "a b,c=d"})
    variables: dict[str, Any] = {"user": 'ada "x" ü', "count": 3, "ratio": 0.5, "ok": False, "zero": 0, "empty": ""}
    variables |= {"none": None, "basket": {"lines": [1]}, "a b,c=d": 1}
    before = time.time_ns()
    app = make_app([chest], variables, request_id_generator=lambda: "17, of = many")
    assert app.test_client().get("/").status_code == 200
    chest.close()
    after = time.time_ns()
    times = set()
    for name, value in variables.items():
        points = server.points(bucket, name)
        if value is None:
            assert points == []
            continue
        (point,) = points
        times.add(point.pop("time"))
        shown = '{"lines":[1]}' if name == "basket" else value
        assert point == {"request_id": "17, of = many", "app": "shop", "zone": "a b,c=d", "value": shown}
        assert type(point["value"]) is type(shown)
    (moment,) = times
    assert before <= moment <= after


@pytest.mark.parametrize(
    ("request_id", "written"),
    [
        ("back\\slash", "back\\slash"),
        ("at the end\\", "at the end/"),
        ("1\\,app=mine", "1/,app=mine"),
        ("\\ \\\\=", "/ //="),
        ("a" * 255, "a" * 255),
        ("ü=,", "ü=,"),
    ],
)
def test_an_id_stays_within_its_tag(server: InfluxDB, bucket: str, request_id: str, written: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket), custom_tags={"app": "shop"})
    chest.write([("user", "ada", request_id)])
    chest.close()
    (point,) = server.points(bucket, "user")
    del point["time"]
    assert point == {"request_id": written, "app": "shop", "value": "ada"}


def test_nothing_is_sent_when_there_is_nothing_to_send() -> None:
    chest = FlaskChestInfluxDB("http://127.0.0.1:1")
    chest.write([])
    chest.write([("none", None, "17")])
    chest.close()
    assert chest._clients == {}


def test_a_refusal_is_told_without_the_token(bucket: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket) | {"token": "s3cret"})
    with pytest.raises(SinkError, match="answers 401") as caught:
        chest.write([ADA])
    chest.close()
    for shown in (str(caught.value), str(chest), str(chest.to_dict())):
        assert "s3cret" not in shown
    assert caught.value.__context__ is None


def test_a_value_of_another_type_is_refused_and_told(server: InfluxDB, bucket: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket))
    chest.write([("count", 1, "1")])
    with pytest.raises(SinkError, match=r"answers 4\d\d .* types of the values"):
        chest.write([("count", "one", "2")])
    chest.close()
    assert [point["value"] for point in server.points(bucket, "count")] == [1]


def test_the_server_may_be_away_for_a_while(server: InfluxDB, bucket: str) -> None:
    if server.process is None:
        pytest.skip("the server is not ours to stop")
    chest = FlaskChestInfluxDB(**parts_of(bucket))
    client = make_app([chest], {"user": "ada"}, raise_exceptions=False).test_client()
    client.get("/")
    server.process.stop()
    assert client.get("/").status_code == 200
    assert chest.lost == 1
    server.process.start()
    client.get("/")
    chest.close()
    assert chest.lost == 1
    assert len(server.points(bucket, "user")) == 2


def test_a_connection_that_the_server_ended_is_made_anew() -> None:
    receiver = Receiver(lambda _: (204, {}, b""))
    chest = FlaskChestInfluxDB(receiver.url, "token")
    chest.write([ADA])
    receiver.replies = [None]
    chest.write([ADA])
    receiver.stop()
    with pytest.raises(SinkError, match="Is it running"):
        chest.write([ADA])
    chest.close()
    first, _, last = receiver.requests
    assert first.target == "/api/v2/write?org=my-org&bucket=my-bucket&precision=ns"
    assert first.headers["Authorization"] == "Token token"
    assert first.body.split(b" ")[:2] == last.body.split(b" ")[:2] == [b"user,request_id=17", b'value="ada"']


def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    receiver = Receiver(lambda _: (time.sleep(3), (204, {}, b""))[1])  # type: ignore[func-returns-value]  # to wait
    chest = FlaskChestInfluxDB(receiver.url, timeout=0.2)
    began = time.monotonic()
    with pytest.raises(SinkError, match="Timeout"):
        chest.write([ADA])
    assert time.monotonic() - began < 2.5
    assert len(receiver.requests) == 1, "a slow server is not asked twice"
    chest.close()
    receiver.stop()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_of_a_fork_write(server: InfluxDB, bucket: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket))
    chest.write([("who", "parent", "1")])
    child = os.fork()
    if not child:
        code = 1
        try:
            chest.write([("who", "child", "2")])
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    chest.write([("who", "parent", "3")])
    chest.close()
    assert sorted(point["request_id"] for point in server.points(bucket, "who")) == ["1", "2", "3"]


@pytest.mark.parametrize("url", ["influx:8086", "ftp://x"])
def test_a_url_of_no_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be http://"):
        FlaskChestInfluxDB(url)


def test_a_password_in_the_url_is_not_shown() -> None:
    chest = FlaskChestInfluxDB("http://me:s3cret@influx:8086")
    assert chest.to_dict()["db_uri"] == "http://influx:8086"


@pytest.mark.parametrize(
    ("name", "measurement"), [("back\\slash", "back\\slash"), ("end\\", "end/"), ("1\\,app=mine", "1/,app=mine")]
)
def test_a_name_stays_within_its_measurement(server: InfluxDB, bucket: str, name: str, measurement: str) -> None:
    chest = FlaskChestInfluxDB(**parts_of(bucket))
    chest.write([(name, "ada", "17")])
    chest.close()
    (point,) = server.points(bucket, measurement.replace("\\", "\\\\"))
    assert (point["request_id"], point["value"]) == ("17", "ada")


@pytest.mark.parametrize("name", ["", "#comment"])
def test_a_name_that_influxdb_would_pass_over_is_told(name: str) -> None:
    chest = FlaskChestInfluxDB("http://127.0.0.1:1")
    with pytest.raises(SinkError, match="another name"):
        chest.write([("user", "ada", "17"), (name, "secret", "17")])
    assert chest._clients == {}
