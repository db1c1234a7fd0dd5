from __future__ import annotations

from support.unwatched import unwatched

__all__ = ["unwatched"]
