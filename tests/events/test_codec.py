"""Whatever comes in, a body is either refused as a whole with a reason, or each event in it is accounted for."""

from __future__ import annotations

import gzip

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import Limits, decode_batch, encode_batch
from tollkeeper.events.event import UsageEvent

LIMITS = Limits(body_bytes=20_000, batch_events=20, event_bytes=2_000)
FIELDS = sorted(UsageEvent.__struct_fields__)
GOOD = {"time": "2026-10-31T12:00:00Z", "method": "GET", "path": "/", "status_code": 200}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
events = st.dictionaries(st.sampled_from(FIELDS), values, max_size=5).map(lambda changes: GOOD | changes)
bodies = (
    st.binary(max_size=300)
    | values.map(msgspec.json.encode)
    | st.lists(events | values, max_size=25).map(msgspec.json.encode)
)


@given(
    bodies,
    st.sampled_from(["", "gzip", "br"]),
    st.sampled_from(["application/json", "application/cloudevents-batch+json", "text/plain"]),
    st.booleans(),
)
def test_any_body_is_refused_or_accounted_for(body: bytes, encoding: str, kind: str, packed: bool) -> None:  # noqa: FBT001  # hypothesis draws it
    data = gzip.compress(body) if packed else body
    try:
        batch = decode_batch(data, source="fuzz", content_type=kind, encoding=encoding, limits=LIMITS)
    except InvalidRequestError as error:
        refused = error
        batch = None
    if batch is None:
        assert refused.code
        assert refused.detail
        return
    assert batch.received == len(batch.events) + len(batch.errors)
    assert all(error.code and error.detail for error in batch.errors)
    assert all(event.id and event.source for event in batch.events)


@given(st.lists(events, min_size=1, max_size=10))
def test_what_was_taken_comes_back_the_same(found: list[dict[str, object]]) -> None:
    first = decode_batch(msgspec.json.encode(found), source="fuzz").events
    again = decode_batch(encode_batch(first), source="other").events

    assert [event.document() for event in again] == [event.document() for event in first]
