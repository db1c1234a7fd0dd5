from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import SETTINGS, Settings, load_settings

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
        ({"TOLLKEEPER_PORT": "http"}, "port"),
        ({"TOLLKEEPER_PORT": "70000"}, "port"),
        ({"TOLLKEEPER_WORKERS": "0"}, "workers"),
        ({"TOLLKEEPER_CONFIG": "missing.toml"}, "missing.toml"),
    ],
)
def test_a_wrong_value_names_the_setting(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_settings(environ)


def test_an_unknown_name_or_broken_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text("colour = 1\n")
    with pytest.raises(ConfigurationError, match="colour"):
        load_settings({}, file=file)
    file.write_text("port = \n")
    with pytest.raises(ConfigurationError, match="Cannot read"):
        load_settings({}, file=file)
