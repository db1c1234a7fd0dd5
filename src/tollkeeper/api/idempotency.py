"""Answers that are kept for a day, so that a request with an ``Idempotency-Key`` is done once and answered alike."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tollkeeper.errors import InvalidRequestError, UnprocessableError
from tollkeeper.store.audit import IdempotentAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["Answer", "Memory"]

KEPT = timedelta(hours=24)
SWEPT_AT_ONCE = 100
MAX_KEY = 255


class Answer(Struct, frozen=True):
    """What a write is answered."""

    status: int
    location: str | None
    body: bytes


class Memory(Struct, frozen=True, kw_only=True):
    """The answer to one request: ``secret`` is the caller's token, ``key`` its ``Idempotency-Key``.

    The answer is kept in the transaction of the write. It may hold a new API key, so it is kept under a stream of bits
    that only the caller's token gives, which the store has no more than a hash of.
    """

    secret: str
    key: str
    request: bytes

    def recall(self, records: Records, now: datetime) -> Answer | None:
        """The answer that was given; another request with the same key raises UnprocessableError."""
        if not 1 <= len(self.key) <= MAX_KEY:
            raise InvalidRequestError(f"The Idempotency-Key has {len(self.key)} characters: give 1 to {MAX_KEY}.")
        for old in records.page(IdempotentAnswer, after=None, limit=SWEPT_AT_ONCE, end=now - KEPT):
            records.remove(old)
        kept = records.get(IdempotentAnswer, self._id)
        if kept is None:
            return None
        if kept.request != hashlib.sha256(self.request).digest():
            raise UnprocessableError(
                "This Idempotency-Key came with another request: give each request a key of its own.",
                code="idempotency_key_reused",
            )
        return Answer(kept.status, kept.location, self._sealed(kept.body, kept.salt))

    def keep(self, records: Records, answer: Answer, now: datetime) -> None:
        """Keep an answer."""
        salt = secrets.token_bytes(32)
        records.add(
            IdempotentAnswer(
                id=self._id,
                request=hashlib.sha256(self.request).digest(),
                status=answer.status,
                location=answer.location,
                salt=salt,
                body=self._sealed(answer.body, salt),
                at=now,
            )
        )

    @property
    def _id(self) -> str:
        return f"idm_{hashlib.sha256(msgspec.json.encode([self.secret, self.key])).hexdigest()}"

    def _sealed(self, body: bytes, salt: bytes) -> bytes:
        """Seal, or open what was sealed: the salt is new for each answer, so no stream is used twice."""
        stream = hashlib.shake_256(salt + self.secret.encode("utf-8", "surrogatepass")).digest(len(body))
        return (int.from_bytes(body) ^ int.from_bytes(stream)).to_bytes(len(body))
