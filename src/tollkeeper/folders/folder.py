"""The folder that processes share as a spool: whether it can be one, how full it is, and what the dead left in it."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.folders.files import Files

__all__ = ["bytes_in", "check_place", "folders_in", "new_folder"]

NAME = re.compile(r"\d+-[0-9a-f]{16}")
ATTEMPTS = 10


def check_place(path: Path) -> None:
    """Make sure, without making anything, that a spool can be at ``path``; raises ConfigurationError."""
    nearest = path
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not (nearest.is_dir() and os.access(nearest, os.R_OK | os.W_OK | os.X_OK)):
        raise ConfigurationError(
            f"The spool {path} cannot be used: {nearest} is no folder that this process may write. Name another."
        )


def bytes_in(path: Path) -> int:
    """Add up all files of a spool, those that are kept because they were damaged too; 0 when there is none."""
    return sum(_sizes(path))


def folders_in(path: Path) -> list[Path]:
    """The folders of all processes, living and dead, the least recently changed first."""
    found: list[tuple[int, str]] = []
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(OSError):
                if NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    found.append((entry.stat().st_mtime_ns, entry.name))
    return [path / name for _, name in sorted(found)]


def new_folder(path: Path, files: Files) -> tuple[Path, int]:
    """Make a folder for this process, and the spool itself when it is not there; gives it with the claim on it.

    Raises:
        OSError: the disk, the rights or the file system do not allow it.
    """
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(OSError):  # not everybody may read the folder above
            files.sync_folder(path.parent)
    for _ in range(ATTEMPTS):
        folder = path / f"{os.getpid()}-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            claim = files.claim(folder)
            if claim is not None:
                files.sync_folder(path)
                return folder, claim
        except FileNotFoundError:
            pass
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            raise
    raise OSError(f"{path} does not keep a new folder: other processes remove it.")


def _sizes(path: Path) -> Iterator[int]:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(path / entry.name)
                else:
                    yield entry.stat(follow_symlinks=False).st_size
