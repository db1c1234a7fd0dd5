from __future__ import annotations

from typing import TYPE_CHECKING

import benchmarks.lease
from benchmarks.environments import PeerMissingError
from benchmarks.lease import measure_leases

if TYPE_CHECKING:
    import pytest


def test_quick_leases_are_decided_and_a_missing_peer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str, *, install: bool) -> None:
        assert not install
        raise PeerMissingError("not installed yet")

    monkeypatch.setattr(benchmarks.lease, "peer_python", missing)
    decision, gated, peer = measure_leases(quick=True)
    assert decision.figure is not None
    assert 0 < decision.figure < 1000
    assert gated.peer == "captured only"
    assert peer.note == "not run: not installed yet"
