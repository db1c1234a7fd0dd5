"""An environment of its own for each peer, so that no peer's dependencies meet another's or ours."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["PeerMissingError", "cache_folder", "peer_python"]

REQUIREMENTS = Path(__file__).parent / "requirements"
SHARED = ("flask", "werkzeug")
INSTALL_SECONDS = 600


class PeerMissingError(Exception):
    """The peer cannot be run here; the message says why."""


def cache_folder() -> Path:
    """Where environments and filled stores are kept between runs; it can be deleted at any time."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "tollkeeper-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def peer_python(peer: str, *, install: bool) -> Path:
    """The interpreter of a peer's environment, made on first use, with the Flask that runs here unless it pins one.

    Raises:
        PeerMissingError: it is not there and must not be installed, or cannot be.
    """
    wanted = (REQUIREMENTS / f"{peer}.txt").read_text(encoding="utf-8")
    pinned = {line.partition("==")[0].lower() for line in wanted.splitlines()}
    wanted += "".join(f"{name}=={version(name)}\n" for name in SHARED if name not in pinned)
    wanted += f"# Python {sys.version}\n"
    folder = cache_folder() / peer
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = folder / "installed.txt"
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    if not install:
        raise PeerMissingError("not installed yet; a run without --quick does it")
    listed = cache_folder() / f"{peer}.txt"
    listed.write_text(wanted, encoding="utf-8")
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(listed)])
    done.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PeerMissingError(f"not installed within {INSTALL_SECONDS} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise PeerMissingError(lines[-1].removeprefix("ERROR: "))
