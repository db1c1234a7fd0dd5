"""One of several processes that use up a quota in one store; it writes down what it was admitted, and may die anytime.

Its arguments: the store, the secret of a key, a file to write to, and whether it asks for ``calls`` or for ``leases``.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.lease import LeaseRequest, Settle, Take
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.gate import GateCall
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from tollkeeper.service.gate import Gate

__all__ = ["UNIT", "main", "used_of_leases"]

UNIT = 1_000_000
GROUP, GROUP_SECONDS = 5, 0.04
BLOCK, UNIT_SECONDS = 40, 0.003
PAUSE = 0.02
GIVE_UP_SECONDS = {"calls": 0.3, "leases": 2.0}
"""What the dead held comes back until then."""


def main(store: str, secret: str, book: Path, kind: str) -> None:
    """Ask until there has been no room for a while."""
    service = open_service(Settings(store=store, lease_seconds=1.0))
    with book.open("a", encoding="utf-8") as file:
        note = file.fileno()
        denied_since: float | None = None
        while denied_since is None or time.monotonic() < denied_since + GIVE_UP_SECONDS[kind]:
            admitted = _calls(service.gate, secret, note) if kind == "calls" else _lease(service.gate, secret, note)
            denied_since = None if admitted else denied_since or time.monotonic()
            if not admitted:
                time.sleep(PAUSE)
    service.close()


def used_of_leases(book: Path) -> dict[str, int]:
    """How many units were used of each lease, as far as a process that is dead wrote it down."""
    used: dict[str, int] = {}
    for line in book.read_text(encoding="utf-8").split("\n")[:-1]:
        used[line] = used.get(line, 0) + 1
    return used


def _calls(gate: Gate, secret: str, note: int) -> int:
    """Ask for a group of calls that count at once, and write down how many were admitted."""
    decisions = gate.decide([GateCall(secret=secret)] * GROUP)
    admitted = sum(decision.denial is None for decision in decisions)
    if admitted:
        os.write(note, f"{admitted}\n".encode())
        time.sleep(random.uniform(0, GROUP_SECONDS))
    return admitted


def _lease(gate: Gate, secret: str, note: int) -> int:
    """Take a lease, write each unit down before it is used, and settle in the middle and in the end."""
    (granted,) = gate.exchange(LeaseRequest(take=[Take(consumer=fingerprint(secret), units=BLOCK * UNIT)])).grants
    end = time.monotonic() + granted.seconds
    if granted.lease is None:
        return 0
    used = 0
    units = granted.units // UNIT
    while used < units and time.monotonic() < end:
        os.write(note, f"{granted.lease}\n".encode())
        used += 1
        time.sleep(UNIT_SECONDS)
        if used == units // 2:
            gate.exchange(LeaseRequest(settle=[Settle(lease=granted.lease, used=used * UNIT)]))
    gate.exchange(LeaseRequest(settle=[Settle(lease=granted.lease, used=used * UNIT, release=True)]))
    return used


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
