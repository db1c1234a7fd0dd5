"""Each code block of the README and the docs does what the page says."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from docs.pages import FENCE, PAGES, Block, blocks, units
from docs.reader import ADDRESS, Reader, agrees
from support.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.close()


def name(unit: list[Block]) -> str:
    return str(unit[0]) if len(unit) == 1 else unit[0].page


@pytest.mark.timeout(180)
@pytest.mark.parametrize("unit", [unit for unit in units() if any(not block.reason for block in unit)], ids=name)
def test_blocks_do_what_the_page_says(unit: list[Block], reader: Reader) -> None:
    if any("curl " in block.text for block in unit):
        require("curl", shutil.which("curl"))
    for block in unit:
        if not block.reason:
            reader.run(block)


def test_blocks_are_found() -> None:
    for page in PAGES:
        assert "```" not in FENCE.sub("", page.read_text(encoding="utf-8")), page.name
    assert {page.name for page in PAGES} >= {"README.md", "api.md", "service.md", "operations.md", "capture.md"}
    assert sum(len(blocks(page)) for page in PAGES) > 20


@pytest.mark.parametrize(
    "block",
    [
        Block("page.md", 1, "python", "raise SystemExit(1)\n", ""),
        Block("page.md", 1, "console", "$ false\n", ""),
        Block("page.md", 1, "console", "$ echo one\ntwo\n", ""),
        Block("page.md", 1, "console", f"$ curl -sS {ADDRESS}/healthz\n" + '{"status": "bad"}\n', ""),
        Block("page.md", 1, "json", "{\n", ""),
        Block("page.md", 1, "toml", "a = \n", ""),
        Block("page.md", 1, "sql", "SELECT 1\n", ""),
    ],
    ids=lambda block: f"{block.language} {block.text[:12]!r}",
)
def test_a_wrong_block_is_seen(block: Block, reader: Reader) -> None:
    with pytest.raises((AssertionError, ValueError)):
        reader.run(block)


def test_outputs_agree_when_only_what_may_differ_differs() -> None:
    assert agrees("at ... for ever", "at  noon for ever\n")
    assert not agrees("at ... for ever", "at noon for now\n")
    assert agrees('{"a": 1, "b": "..."}', '{"b":[2],"a":1}')
    assert not agrees('{"a": 1}', '{"a":1,"b":2}')
    assert agrees('[1, "..."]', "[1,2,3]")
    assert not agrees('[1, "..."]', "[2,3]")
    assert not agrees("[1, 2]", "[1]")
