from __future__ import annotations

import time

from tollkeeper.events.ids import first_record_id, record_id


def test_ids_of_records_sort_by_when_they_were_made() -> None:
    before = time.time_ns() // 1_000
    ids = [record_id("msg") for _ in range(1_000)]
    after = time.time_ns() // 1_000
    assert len(set(ids)) == len(ids)
    assert all(first_record_id("msg", before) <= one < first_record_id("msg", after + 1) for one in ids)
    assert len(first_record_id("msg", 0)) == len(ids[0])
