"""From the patterns of Django's URLconf to templates: ``users/<int:id>/`` is ``/users/{id}/``."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["route_template"]

_converter = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
_sign_of_regex = re.compile(r"\(\?|[\\\[^]|\$$")
_token = re.compile(
    r"""(?xs)
    (?P<varies>\\[dDwWsS] | \[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<nothing>\\[AZbB] | [\^$] | [*+?]+ | \{\d*,?\d*\} | \(\?(?:[a-zA-Z]+|P=\w+)\))
    | (?P<escape>\\.)
    | (?P<named>\(\?P<(?P<name>\w+)>)
    | (?P<unseen>\(\?(?:<?[=!]|\#))     # what must or must not stand before or behind; a comment
    | (?P<inline>\(\?[a-zA-Z-]*[:>])    # a group that only holds together
    | (?P<unnamed>\()
    | (?P<end>\))
    | (?P<text>.)
    """
)
OPENING = {"named", "unseen", "inline", "unnamed"}


@lru_cache(maxsize=4096)
def route_template(route: str) -> str:
    """Read the ``route`` of a ``ResolverMatch``, of ``path()``, of ``re_path()`` or of both, one included in the other.

    What varies without a name is ``{arg1}``, ``{arg2}``; what is optional is there. Django does not say which routes
    are regular expressions: they are told by their signs, of which parentheses are none, for a path may have them too.
    """
    text = _read_regex(route) if _sign_of_regex.search(route) else route
    return "/" + _converter.sub(r"{\1}", text)


def _read_regex(pattern: str) -> str:
    shown: list[str] = []
    hidden = args = 0  # how deep we are inside of a group that is shown by its name or not at all; how many have none
    for match in _token.finditer(pattern):
        kind, token = match.lastgroup or "", match[0]
        if hidden:
            hidden += (kind in OPENING) - (kind == "end")
            continue
        if kind in {"varies", "unnamed"}:
            args += 1
            shown.append(f"{{arg{args}}}")
        elif kind == "named":
            shown.append(f"{{{match['name']}}}")
        elif kind in {"escape", "text"}:
            shown.append(token[-1])
        hidden = int(kind in {"named", "unseen", "unnamed"})
    return "".join(shown)
