"""docs/settings.md holds the table of settings as the code has it; ``TOLLKEEPER_UPDATE_DOCS=1`` writes it anew."""

from __future__ import annotations

import os
import re

from docs.pages import ROOT
from tollkeeper.settings import SETTINGS

PAGE = ROOT / "docs" / "settings.md"
TABLE = re.compile(r"(?s)(<!-- settings: .*?-->\n).*?(<!-- end of settings -->)")


def render() -> str:
    """The table as Markdown."""
    rows = ["| setting | environment | type | default | what it does |", "|---|---|---|---|---|"]
    for row in SETTINGS:
        default = f"`{row.default}`" if row.default != "" else "none"
        rows.append(f"| `{row.name}` | `{row.variable}` | {row.type} | {default} | {row.help} |")
    return "\n".join(rows) + "\n"


def test_every_setting_is_documented_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    current, found = TABLE.subn(lambda match: match[1] + render() + match[2], text)
    assert found == 1
    if os.environ.get("TOLLKEEPER_UPDATE_DOCS"):
        PAGE.write_text(current, encoding="utf-8")
        text = current
    assert text == current, "run: TOLLKEEPER_UPDATE_DOCS=1 make test ARGS=tests/docs/test_settings.py"
