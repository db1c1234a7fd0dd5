from __future__ import annotations

import hashlib
import time
from uuid import RFC_4122, UUID

from tollkeeper.events.ids import first_record_id, id_from_hash, new_id, record_id


def test_ids_of_records_sort_by_when_they_were_made() -> None:
    before = time.time_ns() // 1_000
    ids = [record_id("msg") for _ in range(1_000)]
    after = time.time_ns() // 1_000
    assert len(set(ids)) == len(ids)
    assert all(first_record_id("msg", before) <= one < first_record_id("msg", after + 1) for one in ids)
    assert len(first_record_id("msg", 0)) == len(ids[0])


def test_ids_of_events_are_uuids_that_sort_by_when_they_were_made() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == len(ids)
    for one in ids:
        read = UUID(one)
        assert (str(read), read.version, read.variant) == (one, 7, RFC_4122)
        assert before <= read.int >> 80 <= after


def test_the_id_from_a_hash_is_a_uuid_of_its_own_kind() -> None:
    digest = hashlib.sha256(b"a request").digest()
    one = id_from_hash(1_431_857_103_000_000, digest)
    read = UUID(one)
    assert (str(read), read.version, read.variant) == (one, 8, RFC_4122)
    assert read.int >> 80 == 1_431_857_103_000
    assert one == id_from_hash(1_431_857_103_000_999, digest) != id_from_hash(1_431_857_103_000_000, digest[1:])
