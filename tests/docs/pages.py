"""The pages for people, cut into their code blocks."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

__all__ = ["FENCE", "PAGES", "ROOT", "Block", "blocks", "units"]

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

IN_ORDER = "The examples on this page build on each other."
FENCE = re.compile(
    r"""(?msx) ^ (?:\ *<!--\ not\ run:\ (?P<reason>[^\n]+?)\ -->\n+)?
    (?P<indent>\ *) (?P<fence>`{3,}) (?P<language>[^\n`]*) \n (?P<text>.*?) ^\ *(?P=fence)\ *$"""
)


class Block(NamedTuple):
    """A code block; ``reason`` says why it is only shown, "" for one that is tried out."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            text.count("\n", 0, match.start("fence")) + 1,
            match["language"].strip(),
            textwrap.dedent(match["text"]),
            match["reason"] or "",
        )
        for match in FENCE.finditer(text)
    ]


def units() -> list[list[Block]]:
    """What is run in one go: a block alone, or all of a page that says so by the sentence ``IN_ORDER``."""
    found: list[list[Block]] = []
    for page in PAGES:
        shown = blocks(page)
        together = IN_ORDER in " ".join(page.read_text(encoding="utf-8").split())
        found += [shown] if together and shown else [[block] for block in shown]
    return found
