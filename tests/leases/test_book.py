from __future__ import annotations

from typing import TYPE_CHECKING

from support.leasing import MICRO, Bank
from tollkeeper.events.lease import Denial, Grant
from tollkeeper.leases.book import MAX_WANTED, Book
from tollkeeper.leases.lease import CallKey, Lease

if TYPE_CHECKING:
    import pytest

KEY: CallKey = ("key_1", None, None, "/orders", "GET")
OTHER: CallKey = ("key_2", None, None, None, None)
DENIED = Denial(status=429, code="quota_exceeded", detail="no room", retry_after=60)


class Written:
    """What a book writes down, by the lease."""

    def __init__(self) -> None:
        self.words = memoryview(bytearray(8 * 1000)).cast("Q")
        self.places: dict[str, int] = {}
        self.dropped: list[int] = []
        self.low = 0

    def keep(self, lease: str) -> tuple[memoryview, int]:
        self.places[lease] = len(self.places)
        return self.words, self.places[lease]

    def drop(self, _: memoryview, place: int) -> None:
        self.dropped.append(place)

    def runs_low(self) -> None:
        self.low += 1

    def book(self) -> Book:
        return Book(self.keep, self.drop, self.runs_low)


def exchange(book: Book, bank: Bank, now: float) -> None:
    keys, request = book.request(now)
    book.absorb(keys, request, bank.exchange(request), now)


def leased(bank: Bank, now: float = 0.0, units: int = MICRO) -> tuple[Book, Written]:
    written = Written()
    book = written.book()
    assert book.decide(KEY, units, now) is None
    assert book.want(KEY, units)
    exchange(book, bank, now)
    return book, written


def spend(book: Book, now: float, units: int = MICRO) -> bool | None:
    verdict = book.decide(KEY, units, now)
    return None if verdict is None else verdict.denial is None


def test_a_call_is_counted_on_the_lease_and_written_down_before_it_is_admitted() -> None:
    book, written = leased(Bank())
    verdict = book.decide(KEY, MICRO, 1.0)
    assert verdict is not None
    assert (verdict.denial, verdict.counted) == (None, True)
    assert isinstance(verdict.lease, Lease)
    assert verdict.lease.left == 9 * MICRO
    assert written.words[written.places["lea_1"]] == MICRO


def test_a_call_of_no_units_needs_room_and_counts_nothing() -> None:
    book, written = leased(Bank())
    verdict = book.decide(KEY, 0, 1.0)
    assert verdict is not None
    assert (verdict.denial, verdict.counted) == (None, False)
    assert written.words[0] == 0


def test_nothing_is_admitted_on_a_lease_that_has_ended() -> None:
    book, _ = leased(Bank(seconds=10), now=100.0)
    assert spend(book, 109.9) is True
    assert spend(book, 110.0) is None


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    bank, written = Bank(seconds=10), Written()
    book = written.book()
    book.want(KEY, MICRO)
    keys, request = book.request(100.0)
    book.absorb(keys, request, bank.exchange(request), 100.0)  # the answer came at 105
    assert spend(book, 110.0) is None


def test_more_is_asked_for_before_a_lease_is_used_up_and_after_it_was() -> None:
    bank = Bank(room=1_000_000)
    book, written = leased(bank)
    for _ in range(7):
        assert spend(book, 1.0)
    assert (written.low, book.hungry) == (0, False)
    assert spend(book, 1.0)
    assert spend(book, 1.0)
    assert (written.low, book.hungry) == (1, True)
    exchange(book, bank, 1.0)
    assert bank.takes[-1].units == 67_500_000  # three quarters of what goes in ten seconds, at nine in one
    assert spend(book, 1.0)


def test_a_lease_that_is_replaced_is_given_back() -> None:
    bank = Bank()
    book, written = leased(bank)
    for _ in range(8):
        spend(book, 1.0)
    exchange(book, bank, 1.0)
    exchange(book, bank, 1.0)
    settle = bank.requests[-1].settle[0]
    assert (settle.lease, settle.used, settle.release) == ("lea_1", 8 * MICRO, True)
    assert written.dropped == [0]
    assert list(bank.open) == ["lea_2"]


def test_what_was_used_is_told_once_and_again_until_the_service_knows_it() -> None:
    bank = Bank()
    book, _ = leased(bank)
    spend(book, 1.0)
    _, lost = book.request(1.0)
    assert [settle.used for settle in lost.settle] == [MICRO]
    spend(book, 1.0)
    exchange(book, bank, 1.0)
    assert bank.used == 2 * MICRO
    assert book.request(1.0)[1].settle == []


def test_what_is_used_while_a_request_is_on_its_way_is_told_with_the_next() -> None:
    bank = Bank()
    book, _ = leased(bank)
    spend(book, 1.0)
    keys, request = book.request(1.0)
    spend(book, 1.0)
    book.absorb(keys, request, bank.exchange(request), 1.0)
    assert bank.used == MICRO
    exchange(book, bank, 1.0)
    assert bank.used == 2 * MICRO


def test_a_denial_holds_as_long_as_it_was_said_to() -> None:
    bank = Bank()
    bank.grants = [Grant(seconds=5, denial=DENIED, plan="basic")]
    book, _ = leased(bank)
    assert spend(book, 4.9) is False
    assert spend(book, 5.0) is None


def test_a_denial_holds_no_longer_than_it_advises_to_wait() -> None:
    bank = Bank()
    soon = Denial(status=429, code="rate_limited", detail="slower", retry_after=0.2)
    bank.grants = [Grant(seconds=5, denial=soon, plan="basic")]
    book, _ = leased(bank)
    assert spend(book, 0.19) is False
    assert spend(book, 0.2) is None


def test_where_no_limit_applies_nothing_is_counted() -> None:
    bank = Bank()
    bank.grants = [Grant(seconds=5, plan="basic")]
    book, _ = leased(bank)
    verdict = book.decide(KEY, MICRO, 1.0)
    assert verdict is not None
    assert (verdict.denial, verdict.counted, verdict.lease) == (None, False, None)
    assert book.decide(KEY, MICRO, 5.0) is None


def test_a_denial_leaves_what_is_left_of_a_lease() -> None:
    bank = Bank(room=4)  # one unit at a time
    book, _ = leased(bank)
    bank.grants = [Grant(seconds=5, denial=DENIED, plan="basic")]
    book.want(KEY, MICRO)
    exchange(book, bank, 1.0)
    assert spend(book, 1.0) is True
    assert spend(book, 1.0) is False


def test_a_call_of_many_units_is_counted_on_several_leases_and_never_in_part() -> None:
    bank = Bank(room=40)
    book, written = leased(bank, units=20 * MICRO)
    assert spend(book, 1.0, 20 * MICRO) is None  # ten came
    book.want(KEY, 20 * MICRO)
    exchange(book, bank, 1.0)  # seven of the thirty that are left
    assert spend(book, 1.0, 17 * MICRO) is True
    assert [written.words[place] for place in (0, 1)] == [10 * MICRO, 7 * MICRO]
    assert spend(book, 1.0) is None


def test_when_many_units_are_denied_fewer_are_still_admitted() -> None:
    bank = Bank(room=40)
    book, _ = leased(bank)
    bank.grants = [Grant(seconds=5, denial=DENIED, plan="basic")]
    book.want(KEY, 20 * MICRO)
    exchange(book, bank, 1.0)
    assert spend(book, 1.0, 20 * MICRO) is False
    assert spend(book, 1.0) is True


def test_what_is_in_use_is_renewed_at_half_time_and_what_is_not_is_given_back() -> None:
    bank = Bank()
    book, _ = leased(bank)
    spend(book, 1.0)
    book.look(4.9)
    assert not book.hungry
    book.look(5.0)
    exchange(book, bank, 5.0)
    assert len(bank.takes) == 2
    assert spend(book, 14.9) is True
    book.look(10.0)
    exchange(book, bank, 10.0)
    book.look(15.0)
    exchange(book, bank, 15.0)
    assert (book.idle, book.holds, bank.open) == (True, False, {})
    assert bank.used == 2 * MICRO


def test_a_lease_of_a_rate_is_not_taken_ahead() -> None:
    bank = Bank(seconds=0.5)
    book, written = leased(bank)
    for _ in range(10):
        assert spend(book, 0.1)
    assert written.low == 0
    assert spend(book, 0.1) is None
    book.look(1.0)
    assert not book.hungry
    assert book.request(1.0)[1].settle[0].release
    book.look(2.0)
    assert not book._words


def test_a_new_revision_drops_all_that_was_granted_before() -> None:
    bank = Bank()
    book, _ = leased(bank)
    spend(book, 1.0)
    bank.revision = "2"
    exchange(book, bank, 1.0)
    assert spend(book, 1.0) is None
    exchange(book, bank, 1.0)
    assert (bank.open, bank.used) == ({}, MICRO)


def test_looks_do_not_pile_up_with_revisions() -> None:
    bank = Bank()
    book, _ = leased(bank)
    for revision in range(20):
        bank.revision = f"new {revision}"
        book.want(KEY, MICRO)
        exchange(book, bank, 1.0 + revision / 10)
        spend(book, 3.0)
    book.look(8.0)
    assert len(book._looks) == 1


def test_a_call_is_counted_anew_on_its_lease_while_the_service_does_not_know_of_it() -> None:
    bank = Bank()
    book, written = leased(bank)
    verdict = book.decide(KEY, MICRO, 1.0)
    assert verdict is not None
    lease = verdict.lease
    assert lease is not None
    assert book.adjust(lease, 4 * MICRO)
    assert (lease.left, written.words[0]) == (5 * MICRO, 5 * MICRO)
    assert not book.adjust(lease, 6 * MICRO)  # there are not as many
    assert book.adjust(lease, -5 * MICRO)
    assert book.adjust(lease, 5 * MICRO)
    exchange(book, bank, 1.0)
    assert not book.adjust(lease, -MICRO)  # told already
    book.release()
    assert not book.adjust(lease, MICRO)


def test_too_much_is_not_asked_for() -> None:
    book = Written().book()
    for number in range(MAX_WANTED):
        assert book.want((f"key_{number}", None, None, None, None), MICRO)
    assert not book.want(KEY, MICRO)
    assert book.want(("key_0", None, None, None, None), MICRO)
    keys, request = book.request(0.0)
    assert len(keys) == len(request.take) == 500
    assert request.take[0].units == 10 * MICRO


def test_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WORDS", 2)
    bank = Bank()
    book, _ = leased(bank)
    for number in range(5):
        book.want((f"key_{number}", None, None, None, None), MICRO)
        exchange(book, bank, 1.0)
    exchange(book, bank, 1.0)
    assert len(book._words) == len(bank.open) == 2


def test_keys_that_nobody_knows_put_no_lease_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WORDS", 3)
    unknown = Denial(status=401, code="unknown_api_key", detail="unknown")
    bank = Bank()
    book, _ = leased(bank)
    for number in range(5):
        bank.grants = [Grant(seconds=10, denial=unknown)]
        book.want((f"key_invented_{number}", None, None, None, None), MICRO)
        exchange(book, bank, 1.0)
    assert spend(book, 1.0) is True
    assert list(book._words) == [KEY, *[(f"key_invented_{number}", None, None, None, None) for number in (3, 4)]]
    bank.grants = [Grant(seconds=10, lease="lea_late", units=MICRO, plan="basic")]
    book.want(("key_invented_4", None, None, None, None), MICRO)
    exchange(book, bank, 1.0)
    book.release()
    assert not book._strangers


def test_who_is_known_is_asked_about_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WANTED", 2)
    monkeypatch.setattr("tollkeeper.leases.book.MAX_TAKES", 1)
    book, _ = leased(Bank())
    others: list[CallKey] = [(f"key_invented_{number}", None, None, None, None) for number in range(3)]
    assert [book.want(key, MICRO) for key in others] == [True, True, False]
    assert book.want(KEY, MICRO)
    assert [book.request(1.0)[0] for _ in range(3)] == [[KEY], [others[0]], [others[1]]]


def test_a_lease_that_is_gone_drops_all_once() -> None:
    bank = Bank()
    book, _ = leased(bank)
    bank.revision = "1/123"
    book.want(OTHER, MICRO)
    exchange(book, bank, 1.0)
    assert spend(book, 1.0) is None
    bank.revision = "1"
    exchange(book, bank, 1.0)
    assert book.decide(OTHER, MICRO, 1.0) is not None
    bank.revision = "1/124"
    exchange(book, bank, 1.0)
    assert book.decide(OTHER, MICRO, 1.0) is None


def test_what_is_lost_is_wanted_no_more() -> None:
    book = Written().book()
    book.want(KEY, MICRO)
    book.want(OTHER, MICRO)
    book.lost([KEY])
    assert [take.consumer for take in book.request(0.0)[1].take] == ["key_2"]


def test_the_policy_of_a_plan_is_remembered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.policies.MAX_KNOWN", 1)
    book, _ = leased(Bank(on_failure="deny"))
    assert book.policies.of("key_1") == "deny"
    book.policies.note("key_2", "admit")
    assert (book.policies.of("key_1"), book.policies.of("key_2")) == (None, "admit")


def test_what_is_idle_goes_back_early_and_what_is_used_is_renewed_as_late_as_ever() -> None:
    bank, written = Bank(room=1000, seconds=10), Written()
    book = Book(written.keep, written.drop, written.runs_low, idle_seconds=0.5)
    for key in (KEY, OTHER):
        assert book.want(key, MICRO)
    exchange(book, bank, 0.0)
    for tick in range(1, 5):
        assert spend(book, tick / 2 - 0.1)
        book.look(tick / 2)
        assert not book.hungry
    exchange(book, bank, 2.0)
    assert list(bank.open) == ["lea_1"], "nobody used the other one"
    assert spend(book, 2.4)
    book.look(2.5)
    assert book.hungry


def test_small_blocks_are_used_up_and_not_renewed() -> None:
    bank, written = Bank(room=20, seconds=10), Written()
    book = Book(written.keep, written.drop, written.runs_low, least=8 * MICRO)
    assert book.want(KEY, MICRO)
    exchange(book, bank, 0.0)
    assert [spend(book, 1.0) for _ in range(6)] == [True] * 5 + [None]
    book.look(5.0)
    assert (written.low, book.hungry) == (0, False)


def test_what_is_left_counts_what_was_given_back_for_a_larger_block() -> None:
    bank = Bank(room=1000)
    book, _ = leased(bank)
    assert spend(book, 1.0)
    assert book.want(KEY, MICRO)
    exchange(book, bank, 1.0)
    verdict = book.decide(KEY, MICRO, 1.0)
    assert verdict is not None
    assert verdict.limits[0].remaining + verdict.left == 998 * MICRO


def test_leases_of_one_consumer_are_given_back_alone() -> None:
    bank, written = Bank(room=1000), Written()
    book = written.book()
    for key in (KEY, OTHER):
        assert book.want(key, MICRO)
    exchange(book, bank, 0.0)
    assert book.has_left(KEY[0])
    book.release(KEY[0])
    assert book.has_left(KEY[0]), "the service does not know it yet"
    exchange(book, bank, 1.0)
    assert (book.has_left(KEY[0]), book.has_left(OTHER[0])) == (False, True)
    assert list(bank.open) == ["lea_2"]


def test_leases_in_use_are_told_of_only_when_it_is_time() -> None:
    book, _ = leased(Bank())
    assert spend(book, 1.0)
    assert book.request(1.0, settle=False)[1].settle == []
    assert [settle.used for settle in book.request(1.0)[1].settle] == [MICRO]
    book.release()
    assert [settle.release for settle in book.request(1.0, settle=False)[1].settle] == [True]
