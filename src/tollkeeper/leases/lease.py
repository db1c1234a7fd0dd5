"""What a process holds of the gate's word: leases of quota, denials, and calls that nothing limits."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from tollkeeper.events.lease import Denial, Grant, LimitState

__all__ = ["UNCOUNTED", "CallKey", "Lease", "Verdict", "Word"]

CallKey: TypeAlias = tuple[str, str | None, str | None, str | None, str | None]
"""Of which calls something holds: consumer (the fingerprint of a key), API, its version, endpoint, method."""


class Lease(Struct, eq=False, kw_only=True):
    """A block of quota, in millionths of a unit; ``until`` is monotonic seconds, after which none of it may be used.

    ``words[place]`` is where ``used`` is written down for who comes after a crash. What the service has ``known`` of it
    is behind at times. One that is ``retired`` is used no more, so that what it used stays what it is.
    """

    id: str
    consumer: str
    left: int
    until: float
    words: memoryview
    place: int
    used: int = 0
    known: int = 0
    touched: bool = False
    retired: bool = False


class Verdict(Struct, frozen=True, kw_only=True):
    """Whether a call may be made: not with a ``denial``.

    ``counted`` says that the gate has counted it, on ``lease`` if not by refusing it. ``grant`` is what was said last
    of such calls, at ``since``; of that, ``left`` millionths are left to this process, or were given back by it.
    """

    denial: Denial | None = None
    counted: bool = False
    lease: Lease | None = None
    grant: Grant | None = None
    left: int = 0
    since: float = 0.0

    @property
    def limits(self) -> list[LimitState]:
        """Where the limits stood when the grant was made, with what this process took."""
        return [] if self.grant is None else self.grant.limits


UNCOUNTED = Verdict()
"""The call may be made, and the gate has not counted it."""


class Word(Struct, eq=False, kw_only=True):
    """What the service said last of the calls of one key: units of ``leases``, a denial or that nothing limits them.

    A denial, or a welcome, holds until ``until`` where no lease does. It was good for ``seconds``; ``used`` is what was
    used ``since``. ``busy`` says that there was a call since it was last looked at, which is to be done at ``look_at``.
    Below ``low`` units left, more is asked for. ``spare`` was given back since the grant was made.
    """

    leases: list[Lease]
    until: float = 0.0
    verdict: Verdict
    grant: Grant
    seconds: float
    since: float
    look_at: float
    used: int = 0
    low: int = 0
    spare: int = 0
    busy: bool = False
