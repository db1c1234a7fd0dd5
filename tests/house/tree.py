"""What the rules of the house are checked against: the sources, and the files that are in the repository or will be."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["PACKAGE", "ROOT", "code_files", "modules", "tracked_files"]

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tollkeeper"


def modules() -> dict[str, Path]:
    """Each module of the package by its path below it, e.g. ``store/schema.py``."""
    return {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}


def code_files() -> list[Path]:
    """All Python that is ours, tests included."""
    return [path for path in tracked_files() if path.suffix == ".py"]


def tracked_files() -> list[Path]:
    """The files that git knows, or would add."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("only a git checkout knows which files are its own")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())
