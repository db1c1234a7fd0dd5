from __future__ import annotations

import hashlib
import re

from tollkeeper.capture.identify import default_consumer
from tollkeeper.events.access_log import AccessLog
from tollkeeper.events.fingerprint import fingerprint

LINE = '203.0.113.7 - - [04/May/2026:10:00:00 +0000] "GET /a?api_key=a-secret-key HTTP/1.1" 200 5'


def test_a_fingerprint_has_128_bits_of_sha_256() -> None:
    found = fingerprint("a-secret-key")

    assert re.fullmatch(r"key_[0-9a-f]{32}", found)
    assert found == f"key_{hashlib.sha256(b'a-secret-key').hexdigest()[:32]}"
    assert found != fingerprint("a-secret-kez")


def test_capture_and_access_logs_give_the_same_one() -> None:
    captured = default_consumer("a-secret-key", None)
    logged = AccessLog(consumer=r"api_key=([^& ]+)").event(LINE).consumer

    assert captured is not None
    assert logged is not None
    assert captured.key == logged.key == fingerprint("a-secret-key")


def test_bytes_that_are_no_text_have_one_too() -> None:
    assert fingerprint("\udcff") != fingerprint("\ud800")
