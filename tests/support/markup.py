"""What stands in a page, read out of its HTML."""

from __future__ import annotations

import html
import re

__all__ = ["forms", "part", "rows"]


def rows(text: str) -> list[list[str]]:
    """The text of the cells of the first table, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2].partition("</tbody>")[0], re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in found]
    return [[" ".join(html.unescape(re.sub(r"<[^>]*>", "", cell)).split()) for cell in row] for row in cells]


def part(text: str, name: str) -> str:
    """The section with this id."""
    return text.partition(f'id="{name}"')[2].partition("</section>")[0]


def forms(text: str) -> list[str]:
    """Where the forms that write lead, in their order."""
    return [
        html.unescape(action)
        for action in re.findall(r'<form (?:class="inline" )?method="post" action="([^"]*)"', text)
    ]
