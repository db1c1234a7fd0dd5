"""The snippets of the document of ReadMe, verbatim but for their import lines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from support.readme import ReadMe

GROUPING = """
def grouping_function(request):
    # You can lookup your user here, pull it off the request object, etc.
    # Your grouping function should return None if you don't want the request
    # to be logged, and otherwise return a structure like the one below.
    if user_is_authenticated:
        return {
            "api_key": "unique api_key of the user",
            "label": "label for us to show for this user (account name, user name, email, etc)",
            "email": "email address for user"
        }
    else:
        return None
"""
SET_UP = """
from flask import Flask
from tollkeeper.compat.readme_metrics import MetricsApiConfig
from tollkeeper.compat.readme_metrics.flask_readme import ReadMeMetrics

# You already have code to create a Flask app...
app = Flask("Your-App-Name")

# Just add code to create the ReadMeMetrics extension and connect it to your app.
metrics_extension = ReadMeMetrics(
    MetricsApiConfig(
        api_key="<<user>>",
        grouping_function=path.to.your.grouping_function
    )
)
metrics_extension.init_app(app)
"""
OPTIONS = """
metrics_extension = ReadMeMetrics(
    MetricsApiConfig(
        api_key="KEYS:USER",
        grouping_function=path.to.your.grouping_function,
        buffer_length=1,
        background_worker_mode=False,
        allowlist=["city", "state", "postal_code", "country"],
        timeout=15
    )
)
"""


def run(*snippets: str, authenticated: bool = True) -> dict[str, Any]:
    names: dict[str, Any] = {"user_is_authenticated": authenticated}
    exec(GROUPING, names)
    grouping = names["grouping_function"]
    names["path"] = SimpleNamespace(to=SimpleNamespace(your=SimpleNamespace(grouping_function=grouping)))
    for snippet in snippets:
        exec(snippet, names)
    return names


def test_the_set_up_logs_after_ten_requests(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("README_METRICS_SERVER", service.url)
    names = run(SET_UP)
    for _ in range(10):
        names["app"].test_client().get("/")
    group = service.wait(10)[0]["group"]
    assert group["id"].endswith("?user")
    assert group["label"] == "label for us to show for this user (account name, user name, email, etc)"
    assert group["email"] == "email address for user"
    assert names["metrics_extension"].close(1)


def test_who_is_not_authenticated_is_not_logged(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("README_METRICS_SERVER", service.url)
    names = run(SET_UP, authenticated=False)
    for _ in range(10):
        assert names["app"].test_client().get("/", buffered=True).status_code == 404
    assert names["metrics_extension"].stats().excluded == 10
    assert names["metrics_extension"].close(1)
    assert service.posts == []


def test_the_options_are_those_of_the_document(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("README_METRICS_SERVER", service.url)
    names = run(SET_UP, OPTIONS)
    app = names["Flask"]("other")
    app.add_url_rule("/", view_func=lambda: {"city": "Berlin", "street": "Hauptstraße"})
    names["metrics_extension"].init_app(app)
    app.test_client().get("/")
    (post,) = service.posts  # in the thread of the request: there is nothing to wait for
    assert post.headers["Authorization"] == "Basic S0VZUzpVU0VSOg=="
    answered = post.logs[0]["request"]["log"]["entries"][0]["response"]
    assert answered["content"]["text"] == '{"city": "Berlin", "street": "[REDACTED 11]"}'
    assert names["metrics_extension"].close(1)
