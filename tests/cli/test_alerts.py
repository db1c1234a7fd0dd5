"""``tollkeeper alerts``: rules, channels and messages in the terminal."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook
from typer.testing import CliRunner

from support.receiver import Receiver
from tollkeeper.cli.main import app
from tollkeeper.errors import NotFoundError, SinkError, UnprocessableError
from tollkeeper.service.alerts.delivery import deliver
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

runner = CliRunner()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLKEEPER_STORE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("TOLLKEEPER_WEBHOOK_PRIVATE", "true")
    open_service(load_settings()).close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def run(*arguments: str) -> str:
    result = runner.invoke(app, ["alerts", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))
    return found


def test_a_channel_is_made_tested_rotated_and_removed(receiver: Receiver) -> None:
    assert "No channels" in run("channels", "list")
    name, secret = run("channels", "add", "hook", receiver.url).split()
    assert run("test", "hook").startswith("Delivered msg_")
    (taken,) = receiver.requests
    Webhook(secret).verify(taken.body, dict(taken.headers.items()))
    assert run("channels", "rotate", "hook", "--overlap", "0").startswith("whsec_")
    assert run("channels", "update", "hook", receiver.url + "/new") == f"Changed {name}.\n"
    (shown,) = listed("channels", "list")
    assert (shown["address"], shown["secret"]) == (receiver.url + "/new", None)
    assert "hook" in run("channels", "list")
    assert run("channels", "remove", "hook") == f"Removed {name}.\n"
    assert listed("channels", "list") == []


def test_a_mail_channel_has_no_secret() -> None:
    assert run("channels", "add", "ops", "ops@shop.example").startswith("chn_")
    assert listed("channels", "list")[0]["kind"] == "email"
    with pytest.raises(SinkError, match=r"There is no mail server.* It is tried again"):
        run("test", "ops")


def test_what_was_not_taken_is_listed_and_tried_again(receiver: Receiver) -> None:
    run("channels", "add", "hook", receiver.url)
    receiver.replies = [(410, {}, b"")]
    with pytest.raises(SinkError, match=r"not delivered\. It answered 410\.$"):
        run("test", "hook")
    (message,) = listed("messages", "--state", "dead")
    assert "It answered 410." in run("messages")
    assert run("retry", message["id"]) == f"Will try {message['id']} again.\n"
    service = open_service(load_settings())
    (again,) = listed("messages", "--state", "pending")
    assert deliver(service, message_time(again)) == 1
    service.close()
    assert listed("messages", "--state", "dead") == []
    assert [one["state"] for one in listed("messages")] == ["delivered"]


def message_time(message: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(message["at"])


def test_rules_are_made_listed_changed_and_removed() -> None:
    assert "No rules" in run("rules", "list")
    run("channels", "add", "ops", "ops@shop.example")
    run("channels", "add", "boss", "boss@shop.example")
    name = run("rules", "add", "failing", "error_rate", "--threshold", "0.05", "--channel", "ops").strip()
    assert name.startswith("rul_")
    run("rules", "update", "failing", "--minutes", "15", "--channel", "boss", "--pause")
    (rule,) = listed("rules", "list")
    assert (rule["minutes"], rule["channels"], rule["paused"]) == (15, ["boss"], True)
    run("rules", "update", name, "--resume", "--name", "broken")
    (rule,) = listed("rules", "list")
    assert (rule["name"], rule["paused"], rule["channels"]) == ("broken", False, ["boss"])
    assert run("rules", "remove", "broken") == f"Removed {name}.\n"


def test_what_is_not_there_says_so() -> None:
    assert "No messages" in run("channels", "add", "ops", "ops@shop.example") + run("messages")
    for command in (["test", "nobody"], ["rules", "add", "x", "silence", "--channel", "nobody"]):
        with pytest.raises(UnprocessableError, match="There is no channel"):
            run(*command)
    with pytest.raises(NotFoundError):
        run("retry", "msg_none")
