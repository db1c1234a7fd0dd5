from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tollkeeper.errors import UnprocessableError
from tollkeeper.service.alerts.signing import SigningSecret, make_secret, open_sealed, seal, signature

BODY = json.dumps({"type": "alert.test"}).encode()


def headers(secrets: list[str], body: bytes = BODY) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp())
    signed = signature([SigningSecret(secret) for secret in secrets], "msg_1", now, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signed}


def test_each_secret_verifies_with_the_package_of_the_standard() -> None:
    secrets = [make_secret() for _ in range(3)]
    for secret in secrets:
        Webhook(secret).verify(BODY, headers(secrets))
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(BODY, headers(secrets))
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(BODY + b" ", headers(secrets))


def test_secrets_are_new_each_time_and_long() -> None:
    one, two = make_secret(), make_secret()
    assert one != two
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32
    assert make_secret(one) == one


@pytest.mark.parametrize(
    "given",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_ä" + base64.b64encode(b"x" * 32).decode(),
    ],
)
def test_a_secret_that_is_brought_along_is_checked_and_not_repeated(given: str) -> None:
    with pytest.raises(UnprocessableError) as caught:
        make_secret(given)
    assert len(given) <= 6 or given not in caught.value.detail


@given(st.lists(st.tuples(st.text(max_size=50), st.none() | st.integers(0, 2**62)), max_size=5))
def test_what_was_sealed_opens_again_with_the_same_pepper_alone(pairs: list[tuple[str, int | None]]) -> None:
    secrets = [SigningSecret(text.encode("utf-8", "ignore").decode(), until) for text, until in pairs]
    salt, sealed = seal(b"p" * 32, secrets)
    assert open_sealed(b"p" * 32, salt, sealed) == secrets
    assert seal(b"p" * 32, secrets)[1] != sealed


def test_what_is_sealed_does_not_show() -> None:
    secret = make_secret()
    assert secret.encode() not in seal(b"p" * 32, [SigningSecret(secret)])[1]


def test_nothing_sealed_opens_to_nothing() -> None:
    assert open_sealed(b"p", None, None) == []
    assert open_sealed(b"p", b"salt", None) == []
