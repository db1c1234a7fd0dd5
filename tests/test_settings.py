from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import SETTINGS, Settings, load_settings, unknown_variables

if TYPE_CHECKING:
    from pathlib import Path


def test_each_setting_says_what_it_is_for() -> None:
    assert all(len(row.help) > 15 and row.help.endswith(".") for row in SETTINGS)
    assert {row.variable for row in SETTINGS} >= {"TOLLKEEPER_STORE", "TOLLKEEPER_SINK", "TOLLKEEPER_QUEUE_EVENTS"}


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text('host = "0.0.0.0"\nport = 1\nworkers = 2\n')
    environ = {"TOLLKEEPER_CONFIG": str(file), "TOLLKEEPER_PORT": "2", "TOLLKEEPER_WORKERS": "3", "TOLLKEEPER_HOST": ""}

    found = load_settings(environ, workers=4, store=None)

    assert (found.host, found.port, found.workers, found.store) == ("0.0.0.0", 2, 4, Settings().store)
    assert load_settings({}, file=file).port == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TOLLKEEPER_PORT": "http"}, "port is 'http' in TOLLKEEPER_PORT: give a whole number from 0 to 65535"),
        ({"TOLLKEEPER_PORT": "70000"}, "port is '70000' in TOLLKEEPER_PORT: give a whole number from 0 to 65535"),
        ({"TOLLKEEPER_WORKERS": "0"}, "workers is '0' in TOLLKEEPER_WORKERS: give a whole number, 1 or more"),
        ({"TOLLKEEPER_FLUSH_SECONDS": "0"}, "flush_seconds is '0' in TOLLKEEPER_FLUSH_SECONDS: give a number above 0"),
        ({"TOLLKEEPER_SHUTDOWN_SECONDS": "-1"}, "give a number, 0 or more"),
        ({"TOLLKEEPER_TAGS_PUBLIC": "maybe"}, "tags_public is 'maybe' in TOLLKEEPER_TAGS_PUBLIC: give true or false"),
        ({"TOLLKEEPER_CONFIG": "missing.toml"}, "missing.toml"),
    ],
)
def test_a_wrong_value_names_the_setting(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_settings(environ)


def test_a_wrong_value_names_its_place(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text("store = 5\n")
    with pytest.raises(ConfigurationError, match=re.escape(f"store is 5 in {file}: give a text.")):
        load_settings({}, file=file)
    with pytest.raises(ConfigurationError, match=r"^port is 99999: give"):
        load_settings({"TOLLKEEPER_PORT": "1"}, port=99999)


def test_what_kubernetes_says_of_a_service_named_tollkeeper_is_no_setting() -> None:
    environ = {
        "TOLLKEEPER_PORT": "tcp://10.96.1.7:8080",
        "TOLLKEEPER_PORT_8080_TCP": "tcp://10.96.1.7:8080",
        "TOLLKEEPER_SERVICE_HOST": "10.96.1.7",
    }
    assert load_settings(environ) == Settings()
    assert unknown_variables(environ) == []


def test_a_variable_that_is_no_setting_is_found() -> None:
    environ = {"TOLLKEEPER_PROT": "8", "TOLLKEEPER_PORT": "8", "TOLLKEEPER_CONFIG": "", "PATH": "", "TOLLKEEPER": ""}
    assert unknown_variables(environ) == ["TOLLKEEPER_PROT"]


def test_an_unknown_name_or_broken_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text("colour = 1\n")
    with pytest.raises(ConfigurationError, match="colour"):
        load_settings({}, file=file)
    file.write_text("port = \n")
    with pytest.raises(ConfigurationError, match="Cannot read"):
        load_settings({}, file=file)
