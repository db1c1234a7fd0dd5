"""``MetricsApiConfig``, ``ReadMeMetrics`` and their arguments."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics
from tollkeeper.compat.readme_metrics.flask_readme import ReadMeMetrics as Door
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from support.readme import ReadMe

DEFAULTS = {
    "base_log_url": None,
    "buffer_length": 10,
    "development_mode": False,
    "background_worker_mode": True,
    "allowlist": None,
    "denylist": None,
    "blacklist": None,
    "whitelist": None,
    "allowed_http_hosts": None,
    "timeout": 3,
}


def test_arguments_and_defaults() -> None:
    parameters = inspect.signature(MetricsApiConfig).parameters
    assert list(parameters) == ["api_key", "grouping_function", *DEFAULTS]
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS


def test_both_import_paths_lead_to_the_same() -> None:
    assert Door is ReadMeMetrics


def test_buffer_length_is_10_unless_it_is_given(watch: Any, service: ReadMe) -> None:
    watched = watch(buffer_length=MetricsApiConfig("key", None).buffer_length)
    for _ in range(9):
        watched.call()
    assert watched.metrics.stats().sent == 0
    watched.call()
    service.wait(10)
    assert service.batches == [10]


def test_old_names_are_accepted(watch: Any) -> None:
    body = watch(blacklist=["secret"]).entry()["response"]["content"]["text"]
    assert '"[REDACTED 6]"' in body
    assert "Berlin" in body
    body = watch(whitelist=["secret"]).entry()["response"]["content"]["text"]
    assert '"s3cret"' in body
    assert "Berlin" not in body


def test_the_grouping_function_may_be_a_dotted_path(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("shop_accounts")
    module.caller = lambda request: {"id": request.headers["X-Key"]}
    monkeypatch.setitem(sys.modules, "shop_accounts", module)
    log = watch(grouping_function="shop_accounts.caller").log("/", headers={"X-Key": "abcdefgh"})
    assert log["group"]["id"].endswith("?efgh")


def test_the_grouping_function_gets_the_flask_request(watch: Any) -> None:
    log = watch(grouping_function=lambda request: {"id": request.path, "label": request.endpoint}).log("/status/204")
    assert log["group"]["label"] == "status"


def test_the_extension_may_be_initialised_with_the_app_or_later(service: ReadMe, watch: Any) -> None:
    app = watch().app
    assert service.url
    config = MetricsApiConfig("key", lambda _: {"id": "1234"}, buffer_length=1)
    late, early = Flask("late"), Flask("early")
    extensions = [ReadMeMetrics(config), ReadMeMetrics(config, early)]
    extensions[0].init_app(late)
    extensions[0].init_app(late)
    for other in (late, early):
        other.test_client().get("/")
    assert len(service.wait(2)) == 2
    assert app.extensions.keys() >= late.extensions.keys()
    assert all(extension.close(1) for extension in extensions)


def test_the_environment_replaces_the_base_of_the_address(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("README_METRICS_SERVER", f"{service.url}/elsewhere/")
    app = Flask("shop")
    metrics = ReadMeMetrics(MetricsApiConfig("key", lambda _: {"id": "1234"}, buffer_length=1), app)
    app.test_client().get("/")
    assert service.wait_posts(1)[0].path == "/v1/request"
    assert metrics.close(1)


def test_without_a_grouping_function_nothing_is_logged(watch: Any, service: ReadMe) -> None:
    watched = watch(grouping_function=None)
    assert watched.call(buffered=True).status_code == 200
    assert watched.metrics.flush(1)
    assert watched.metrics.stats().excluded == 1
    assert service.posts == []


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"buffer_length": 0}, "number of logs"),
        ({"timeout": 0}, "more than 0"),
        ({"api_key": ""}, "API key"),
        ({"denylist": "secret"}, r"\['secret'\]"),
        ({"allowed_http_hosts": "localhost"}, r"\['localhost'\]"),
        ({"grouping_function": "nowhere.at_all"}, "grouping_function"),
        ({"grouping_function": "sys.path"}, "no function"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_at_set_up(wrong: dict[str, Any], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        ReadMeMetrics(MetricsApiConfig(**({"api_key": "key", "grouping_function": None} | wrong)))
