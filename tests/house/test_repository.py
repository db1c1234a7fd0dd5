"""What the repository promises to whoever clones it."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

from house.tree import ROOT, code_files, tracked_files
from tollkeeper import __version__
from tollkeeper.settings import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = re.compile(r"(?<![\w.~}>)/-])/(?:home|root|work)/[\w.]|\b[A-Z]:\\+Users\\+")
REGISTRY = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|pythonhosted|npmjs")
SILENCED = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]*[0-9])?|type:\s*ignore(?:\[[^\]]*\])?)")
REQUIREMENT = re.compile(r"(?m)^[a-z0-9][\w.\[\]-]*==\S+")
NO_TEXT = {
    "docs/images/overview-dark.png": "a picture of the README",
    "docs/images/overview-light.png": "a picture of the README",
    "examples/data/access.log.gz": "the log that docs/backfill.md imports, packed as servers keep them",
}


def text_of(path: Path) -> str | None:
    """The text of a file, None of one that is none."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def test_no_file_names_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked_files()
        for number, line in enumerate((text_of(path) or "").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_what_is_no_text_is_there_for_a_reason() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in tracked_files() if text_of(path) is None} == NO_TEXT.keys()


def test_what_was_packed_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"PK\x03\x04\x14\x00", b"\x1f\x8b\x08"):
        file.write_bytes(content)
        assert text_of(file) is None
    file.write_bytes("§".encode())
    assert text_of(file) == "§"


def test_what_a_machine_is_called_would_be_seen() -> None:
    for path in ("home/me/x", "root/.venv", "work/main"):
        assert MACHINE.search(f'open("/{path}")')
        assert not MACHINE.search(f"https://api.example/{path}")


def test_requirement_files_pin_everything_by_hash_and_name_no_host() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert [path.name for path in files] == ["dev.txt", "mongoeco.txt", "oldest-apart.txt", "oldest.txt", "run.txt"]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not REGISTRY.search(text), path.name
        pinned = REQUIREMENT.split(text)[1:]
        assert pinned
        assert all("--hash=sha256:" in block for block in pinned), path.name


def test_the_lock_of_the_frontend_names_no_host() -> None:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry or "integrity" not in entry] == []
    assert "registry" not in (ROOT / "frontend" / ".npmrc").read_text(encoding="utf-8").replace("-registry-", "")


def test_a_silenced_check_says_why() -> None:
    bare = []
    for path in code_files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in SILENCED.finditer(line):
                rest = line[match.end() :].strip()
                if not re.match(r"[-#]?\s*\w", rest):
                    bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert bare == []


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", text)
    assert headings[0] == "[Unreleased]"
    assert re.search(r"(?m)^### (Added|Changed|Deprecated|Removed|Fixed|Security)$", text)


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_every_setting_says_what_it_does() -> None:
    assert [row.name for row in SETTINGS if not row.help.endswith(".")] == []


def test_the_front_door_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = dict(re.findall(r"(?m)^([a-z]+):[^#\n]*## (.+)$", makefile))
    assert {"help", "demo", "test", "check", "bench"} <= described.keys()
