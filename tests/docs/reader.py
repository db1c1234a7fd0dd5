"""A reader who tries out what the pages say, in a folder of its own, with a service of its own when one is called."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from docs.pages import ROOT
from support.served import Served, environment
from tollkeeper.events.event import UsageEvent
from tollkeeper.sinks.sqlite import SQLiteSink

if TYPE_CHECKING:
    from pathlib import Path

    from docs.pages import Block

__all__ = ["ADDRESS", "Reader", "agrees"]

ADDRESS = "http://127.0.0.1:8080"
STORE = "sqlite:///tollkeeper.db"
SHIM = '#!/bin/sh\nexec "{python}" -m tollkeeper.cli "$@"\n'
STATE = '[ ! -e .state ] || . ./.state\n{command}\ncode=$?\nexport -p > .state\nexit "$code"\n'
ANYTHING = "..."
LOG = """\
203.0.113.7 - acme [04/May/2026:10:00:00 +0000] "GET /orders/17 HTTP/1.1" 200 512 "-" "curl/8.5.0"
203.0.113.7 - acme [04/May/2026:10:00:01 +0000] "POST /orders HTTP/1.1" 201 87 "-" "curl/8.5.0"
198.51.100.4 - - [04/May/2026:10:00:02 +0000] "GET /orders/18 HTTP/1.1" 404 31 "-" "curl/8.5.0"
"""
EVENT = {"time": "2026-05-04T10:00:00Z", "method": "GET", "path": "/orders/17", "status_code": 200}
FILES = {"access.log": LOG, "events.jsonl": json.dumps(EVENT) + "\n"}
SINK_FILE = "usage.db"


class Reader:
    """Runs blocks in ``folder``, where files lie that a command names and a reader would have; ``close`` ends all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._served: Served | None = None
        self._environment = environment() | {"HOME": str(folder), "NO_COLOR": "1", "PYTHONUTF8": "1"}
        (folder / "examples").symlink_to(ROOT / "examples")
        command = folder / ".bin" / "tollkeeper"
        command.parent.mkdir()
        command.write_text(SHIM.format(python=sys.executable), encoding="utf-8")
        command.chmod(0o755)
        self._environment["PATH"] = f"{command.parent}{os.pathsep}{self._environment.get('PATH', os.defpath)}"

    def close(self) -> None:
        """End the service."""
        if self._served is not None:
            self._served.stop()
            self._served = None

    def run(self, block: Block) -> None:
        """Try a block out; what it does not do as the page says is an AssertionError."""
        if block.language == "python":
            self._python(block)
        elif block.language == "console":
            for command, shown in commands(block.text):
                self._command(block, command, shown)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        else:
            raise AssertionError(
                f"{block}: a block of {block.language or 'no language'} cannot be run; say why in a comment above it"
            )

    def _python(self, block: Block) -> None:
        script = self._folder / "app.py"
        script.write_text(self._translate(block.text), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", script.name],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"

    def _command(self, block: Block, command: str, shown: str) -> None:
        self._supply(command)
        if command.startswith("tollkeeper serve"):
            printed = self._serve(shlex.split(command)[2:])
        else:
            done = subprocess.run(
                ["/bin/sh", "-c", STATE.format(command=self._translate(command))],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=60,
            )
            printed = done.stdout
            assert done.returncode == 0, f"{block}: {command}\n{printed}"
        if self._served is not None:
            printed = printed.replace(self._served.url, ADDRESS)
        assert not shown or agrees(shown, printed), f"{block}: {command}\n{printed}\nbut the page shows\n{shown}"

    def _supply(self, command: str) -> None:
        """Make the files that a command names, unless the page has made them."""
        for name, text in FILES.items():
            if name in command and not (self._folder / name).exists():
                (self._folder / name).write_text(text, encoding="utf-8")
        if SINK_FILE in command and not (self._folder / SINK_FILE).exists():
            sink = SQLiteSink(self._folder / SINK_FILE)
            sink.send([msgspec.convert(EVENT | {"id": "1", "source": "shop"}, UsageEvent)])
            sink.close()

    def _translate(self, text: str) -> str:
        """Send what goes to the address of the pages to the service of this reader, started when there is none."""
        if ADDRESS not in text:
            return text
        if self._served is None:
            self._serve([])
            create = ["tollkeeper", "token", "create", "reader", "--scope", "admin", "--store", STORE]
            program = shutil.which(create[0], path=self._environment["PATH"])
            assert program is not None
            made = subprocess.run(
                [program, *create[1:]],
                cwd=self._folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=True,
            )
            self._environment["TOKEN"] = made.stdout.strip()
        assert self._served is not None
        return text.replace(ADDRESS, self._served.url)

    def _serve(self, options: list[str]) -> str:
        assert self._served is None, "the page starts a second service"
        chosen = dict(zip(options[::2], options[1::2], strict=True))
        assert chosen.keys() <= {"--store", "--workers", "--host", "--port"}, options
        self._served = Served(
            chosen.get("--store", STORE), workers=int(chosen.get("--workers", "1")), folder=self._folder
        )
        return self._served.output


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown below it."""
    found: list[tuple[list[str], list[str]]] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif goes_on:
            found[-1][0].append(line)
        else:
            assert found, f"a console block starts with a command: {line}"
            found[-1][1].append(line)
            continue
        goes_on = _is_open("\n".join(found[-1][0]))
    return [("\n".join(command), "\n".join(shown).strip()) for command, shown in found]


def _is_open(command: str) -> bool:
    """Whether a command goes on in the next line: after a backslash, or within quotes."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def agrees(shown: str, printed: str) -> bool:
    """Whether an output is what a page shows: ``...`` stands for anything, JSON may be laid out in any way."""
    try:
        return _same(json.loads(shown), json.loads(printed))
    except ValueError:
        pattern = re.escape(_lines(shown)).replace(re.escape(ANYTHING), ".*?")
        return re.fullmatch(pattern, _lines(printed), re.DOTALL) is not None


def _lines(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def _same(shown: Any, printed: Any) -> bool:
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict) and isinstance(printed, dict):
        return shown.keys() == printed.keys() and all(_same(value, printed[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(printed, list):
        rest = shown[-1:] == [ANYTHING]
        wanted = shown[:-1] if rest else shown
        same = all(_same(*pair) for pair in zip(wanted, printed, strict=False))
        return same and (len(printed) >= len(wanted) if rest else len(printed) == len(wanted))
    return bool(shown == printed)
