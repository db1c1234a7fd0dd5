"""What was filled into a form, as the record that a verb takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["filled"]

T = TypeVar("T")


def filled(kind: type[T], data: Mapping[str, Any], *names: str, **more: Any) -> T:
    """Read fields of a form, and ``more`` values, as a record; an empty field is left out.

    Raises UnprocessableError that names the field.
    """
    given = {name: text for name in names if (text := str(data.get(name, "")).strip())}
    try:
        return msgspec.convert(given | more, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UnprocessableError(f"{error}.".replace(" - at `$.", " in `")) from None
