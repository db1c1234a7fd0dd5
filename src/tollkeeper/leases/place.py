"""Where processes write down what they used of their leases."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.log import QuietLog

__all__ = ["folder_for"]


def folder_for(wanted: str | os.PathLike[str], place: str, log: QuietLog | None = None) -> Path | None:
    """A folder for each service: what was leased there is settled there. None where nobody else can be kept out.

    Which one is in the way is told to the ``log``.
    """
    root = Path(os.path.abspath(wanted)) if wanted else _private_folder(log)  # noqa: PTH100 - a later chdir must not move it
    return root and root / hashlib.sha256(place.encode()).hexdigest()[:16]


def _private_folder(log: QuietLog | None) -> Path | None:
    if not hasattr(os, "geteuid"):
        return None
    folder = Path(tempfile.gettempdir()) / f"tollkeeper-gate-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077:
            return folder
    except OSError:
        pass
    if log is not None:
        told = "Tollkeeper's gate cannot write down what it used of its leases: %s is no folder of this user alone. %s"
        log.tell("gate_folder", told, folder, "Remove it, or set TOLLKEEPER_GATE_FOLDER to another one.")
    return None
