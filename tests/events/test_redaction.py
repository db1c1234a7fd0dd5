from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.events.redaction import REDACTED, is_sensitive, is_suspect, redact_text, redact_url

X = REDACTED


@pytest.mark.parametrize(
    "name",
    [
        "token", "X-Api-Key", "apiKey", "access_token", "PASSWORD", "user[password]", "sig", "Set-Cookie",
        "CARD NUMBER",
        "userSSN", "cvc", "card-cvc", "PIN", "pIn", "p-i-n", "X-Auth", "PHPSESSID", "connect.sid", "db_pass", "dbpass",
        "passkey", "X-PSK", "pinCode", "pincode", "newpass", "old_pass", "userPw", "X-Admin-Key", "webhook_key",
        "writeKey", "X-Authentication", "Kennwort", "contrase\u00f1a", "mot_de_passe", "senha",
        "Ocp-Apim-Subscription-Key", "X-Amz-Signature", "x-functions-key", "refreshTokens", "a" * 100 + "token",
    ],
)  # fmt: skip
def test_names_of_secrets_are_known_in_any_spelling(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        "\uff50assword",  # a letter of full width
        "p\u0430ssword",  # a Cyrillic letter
        "\u0420\u0410SSWORD",
        "pässwörd",
        "PI\u0301N",
        "AP\u0130KEY",
        "Pa\u017f\u017fword",
        "api\u200bkey",
        "p\u00adi\u00adn",
        "pass%77ord",
        "%2570assword",
        "p\\u0061ssword",
        "%" + "25" * 7 + "41",  # more layers than anybody has a harmless reason for
    ],
)
def test_no_letter_and_no_escape_hides_a_name(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        "page", "author", "assignee", "className", "q", "", "spinach", "businessName", "company", "spinner", "keyboard",
        "id", "stuffing", "key", "primary_key", "passenger", "compass", "100%", "a\\b", "naïve", "X-Request-Id",
        "new_passenger", "two_factor_authentication", "desenhar", "overwrite_keys", "pinned", "authenticated",
        "pskov", "bypassed", "object_key",
    ],
)  # fmt: skip
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        "secretary", "tokenized",
        "max_tokens", "maxTokens", "max_completion_tokens", "prompt_tokens", "completion_tokens", "total_tokens",
        "usage.input_tokens"[6:], "prompt_tokens_details", "cache_read_input_tokens", "promptTokenCount", "tokenizer",
        "token_type", "x-ratelimit-remaining-tokens",
    ],
)  # fmt: skip
def test_amounts_of_tokens_are_no_tokens(name: str) -> None:
    assert not is_sensitive(name)


@pytest.mark.parametrize("name", ["next_page_token", "tokens", "reset_tokens", "input_token", "max_tokens_secret"])
def test_in_doubt_a_token_is_a_token(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/a", "/a"),
        ("/a?page=2&q=x=y", "/a?page=2&q=x=y"),
        ("/a?token=s3&page=2", f"/a?token={X}&page=2"),
        ("/a?page=2;api_key=s3", f"/a?page=2;api_key={X}"),
        ("/a?%74oken=s3", f"/a?%74oken={X}"),
        ("/a?%252574oken=s%203", f"/a?%252574oken={X}"),
        ("/a;session=s3?x=1", f"/a;session={X}"),
        ("/a#access_token=s3", f"/a#access_token={X}"),
        ("https://me:s3@host/a?x=me@host", f"https://{X}@host/a?x=me@host"),
        ("postgres://me:s/3@host/a", f"postgres://{X}@host/a"),
        ("/a?token=", f"/a?token={X}"),
        ("/a?token=abc;def&x=1", f"/a?token={X}&x=1"),
        ("/a?token=1&token=2&TOKEN=3", f"/a?token={X}&token={X}&TOKEN={X}"),
        ("/a?next=%2Fx%3Ftoken%3Dq%26n%3D1&n=1", f"/a?next=%2Fx%3Ftoken%3D{X}%26n%3D1&n=1"),
        ("/a?q=%7B%22password%22%3A%22s3%22%7D", f"/a?q=%7B%22password%22%3A%22{X}%22%7D"),
        ("/a?q=%7B%22name%22%3A+%22password%22%2C+%22value%22%3A+%22s3%22%7D",
         f"/a?q=%7B%22name%22%3A+%22password%22%2C+%22value%22%3A+%22{X}%22%7D"),
        ("?name=password&value=s3", f"?name=password&value={X}"),
        ("?f%5B0%5D%5Bkey%5D=pa%2573s&f%5B0%5D%5Bval%5D=s3", f"?f%5B0%5D%5Bkey%5D=pa%2573s&f%5B0%5D%5Bval%5D={X}"),
        ("?name=color&value=red", "?name=color&value=red"),
        ("?path=/password&value=s3", f"?path=/password&value={X}"),
        ("?q=to%6ben&q=s3&p=1&q=s4", f"?q=to%6ben&q={X}&p=1&q=s4"),
        ("?q[]=a;q[]=pin;q[]=s3", f"?q[]=a;q[]=pin;q[]={X}"),
        ("?sort=token&dir=asc&sort=", f"?sort=token&dir=asc&sort={X}"),
        ("/reset-password/Zx81kd92kd/confirm", f"/reset-password/{X}/confirm"),
        ("/password_reset/MQ/c7x9a1-2b3c4d5e6f/", f"/password_reset/MQ/{X}/"),
        ("/token/abcdefghijklmnopqrstuvwxyz", f"/token/{X}"),
        ("/password/reset", "/password/reset"),
        ("/sessions/2024-01-15", "/sessions/2024-01-15"),
        ("/users/Zx81kd92kd", "/users/Zx81kd92kd"),
        ("https://session.example:8080/x/abcd1234?page=1", "https://session.example:8080/x/abcd1234?page=1"),
        ("https://h/tokens:exchange", "https://h/tokens:exchange"),
        ("https://medium.example/@user?a=1", "https://medium.example/@user?a=1"),
        ("/pay/4242-4242-4242-4242?token=x", f"/pay/{X}?token={X}"),
    ],
)  # fmt: skip
def test_secrets_leave_an_address(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert redact_url(shown) == shown


@settings(deadline=None)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABC019%+=?./", min_size=1))
def test_no_value_of_a_token_survives(value: str) -> None:
    assert redact_url(f"a=1&token={value}&b=2") == f"a=1&token={X}&b=2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2", f"password={X}"),
        ("login with password: hunter2 failed for bob", f"login with password: {X} failed for bob"),
        ("f(token=abc, user=7)", f"f(token={X}, user=7)"),
        ("API key: abc", f"API key: {X}"),
        ("social security number: 123", f"social security number: {X}"),
        ("pass the value: 5", "pass the value: 5"),
        ("the token https://x.example", "the token https://x.example"),
        ("max tokens: 5", f"max tokens: {X}"),  # in prose the two words are not one name
        ("password: correct horse battery", f"password: {X}"),
        ("export DB_PASSWORD = correct horse", f"export DB_PASSWORD = {X}"),
        ("token=abc user=7", f"token={X} user=7"),
        ("token: abc user=7", f"token: {X} user=7"),
        ("Cookie: a=b; c=d\nHost: x", f"Cookie: {X}\nHost: x"),
        ('curl -H "Authorization: Digest a, b" https://x', f'curl -H "Authorization: {X}" https://x'),
        ("password := 'a b'", f"password := '{X}'"),
        ("'password' => 'a b'", f"'password' => '{X}'"),
        ('os.environ["API_KEY"] = "a b"', f'os.environ["API_KEY"] = "{X}"'),
        ("SET password='it''s x' WHERE id=1", f"SET password='{X}' WHERE id=1"),
        ('token="""a b""" x', f'token="{X}" x'),
        ("token='' x='y'", "token='' x='y'"),
        ("token=b'a b', x", f"token=b'{X}', x"),
        ("password=SecretStr('a b', c), x=1", f"password={X}, x=1"),
        ("password=[a (b]c", f"password={X}"),
        ("password=don't tell", f"password={X} tell"),
        ("password=,;", f"password={X}"),
        ("password='never ending", f"password='{X}"),
        ("say 'password=a b'", f"say 'password={X} b'"),
        ("say 'password=ab' twice", f"say 'password={X}' twice"),
        ("'a'&token=c'd", f"'a'&token={X}"),
        ('{"link":"/x?token=abc","name":"bob"}', f'{{"link":"/x?token={X}","name":"bob"}}'),
        ("password:\n  hunter2\nx: y", f"password:\n  {X}\nx: y"),
        ("password: |\n  a\n\n  b\nx: y", f"password: |\n  {X}\nx: y"),
        ("password:\n  - a\n    b: c\n  - d\nx: y", f"password:\n  {X}\nx: y"),
        ("password:\n    a\n  x: y", f"password:\n    {X}\n  x: y"),
        ('"password":\n  "a",\n  "x": 1', f'"password":\n  "{X}",\n  "x": 1'),
        ("password:\nx: y", "password:\nx: y"),
        ("host auth:\t", "host auth:\t"),
        ("InvalidTokenError: it has expired", "InvalidTokenError: it has expired"),
        ('File "session.py", line 3, in auth', 'File "session.py", line 3, in auth'),
        ("at 2025-01-02T03:04:05+00:00 ok", "at 2025-01-02T03:04:05+00:00 ok"),
    ],
)  # fmt: skip
def test_secrets_leave_a_text_by_their_names(text: str, shown: str) -> None:
    assert redact_text(text) == shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"user": "a", "password": "x \\" y", "n": 1}', f'{{"user": "a", "password": "{X}", "n": 1}}'),
        ('{"password": "x\\\\", "n": 1}', f'{{"password": "{X}"n": 1}}'),  # the quote may belong to the value
        ('{"pin":1234,"x":[true]}', f'{{"pin":{X},"x":[true]}}'),
        ('{"password": {"a": "}", "b": [1]}, "n": 1}', f'{{"password": {X}, "n": 1}}'),
        ('{"a": "{\\"pin\\": \\"x \\\\\\" y\\", \\"n\\": 2}"}', f'{{"a": "{{\\"pin\\": \\"{X}\\", \\"n\\": 2}}"}}'),
        ('{"p\\u0061ssword": "x"}', f'{{"p\\u0061ssword": "{X}"}}'),
        ("token\\u003dabc", f"token\\u003d{X}"),
        ('["password", "x", 1]', f'["password", "{X}", 1]'),
        ("[('Authorization', 'a b'), (b'cookie', b'c=d')]", f"[('Authorization', '{X}'), (b'cookie', b'{X}')]"),
        ('["token", ""]', '["token", ""]'),
        ('{"value": {"a": "x"}, "name": "password"}', f'{{"value": {X}, "name": "password"}}'),
        ('{"name": "", "value": 3}', '{"name": "", "value": 3}'),
        ('{"name": "color", "value": 3}', '{"name": "color", "value": 3}'),
        ('{"type": "password", "value": 3, "text": 4}', f'{{"type": "password", "value": {X}, "text": 4}}'),
        ('{"type": "session.created", "data": 4}', '{"type": "session.created", "data": 4}'),
        ('{"data": "x {name: token, value: \\"a\\" b"}', f'{{"data": "{X}"}}'),
        ("<user><password>a b</password><n>1</n></user>", f"<user><password>{X}</password><n>1</n></user>"),
        ('<auth:token id="1">x</auth:token>', f'<auth:token id="1">{X}</auth:token>'),
        ("<password>cut sho", f"<password>{X}"),
        ("<password><![CDATA[<cut", f"<password>{X}"),
        ("{&quot;pin&quot;:&quot;a &gt;b&quot;,&#34;n&#x22;}", f"{{&quot;pin&quot;:&quot;{X}&quot;,&#34;n&#x22;}}"),
        ("a &lt; b &amp;&amp; c &nbsp; &#9999999; &d;", "a &lt; b &amp;&amp; c &nbsp; &#9999999; &d;"),
        ("<password>a<b>c<password>d", f"<password>{X}<b>c<password>{X}"),
        ("<password></password><password/>x", "<password></password><password/>x"),
        ('<add key="token">x</add>', f'<add key="token">{X}</add>'),
        ("<n:name> token </n:name>\n<n:value><b>x</b></n:value>", f"<n:name> token </n:name>\n<n:value>{X}</n:value>"),
        ("<type>pin</type><value>x</value><value>y</value>", f"<type>pin</type><value>{X}</value><value>y</value>"),
        ("<name>pin</name> or <value>x</value>", "<name>pin</name> or <value>x</value>"),
        ("<name>Ann</name><value>x</value>", "<name>Ann</name><value>x</value>"),
        ("<label>token</label><note>x</note>", "<label>token</label><note>x</note>"),
        ('<input name="password" value="x">', f'<input name="password" value="{X}">'),
        ("<db.orm.Session object at 0x7f> is closed", "<db.orm.Session object at 0x7f> is closed"),
        ("GET https://u:p@h/?token=a;b&c=d HTTP/1.1", f"GET https://{X}@h/?token={X}&c=d HTTP/1.1"),
        ("see password%3Dabc%26x%3D1 now", f"see password%3D{X}%26x%3D1 now"),
        ("p%C3%A4ssword%3D%C3%BCber", f"p%C3%A4ssword%3D{X}"),
        ("pass\u200bword\uff1a \uff11\uff12", f"pass\u200bword\uff1a {X}"),
        ("%" + "25" * 7 + "41", X),
        ("caf\u00e9 \uff08a\uff09 100%", "caf\u00e9 \uff08a\uff09 100%"),
    ],
)  # fmt: skip
def test_secrets_leave_a_text_by_its_structure(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_a_text_that_is_escaped_too_often_is_hidden() -> None:
    assert redact_text("\\" * 40) == "\\" * 40
    assert redact_text("\\" * 512) == X
    text = "+ a"
    for _ in range(6):  # each reading of it has more readings
        text = f"{quote(text)} {json.dumps(text)}+{text[:100]}"
    assert X in redact_text(text)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_what_is_not_suspect_is_not_changed(text: str) -> None:
    if not is_suspect(text):
        assert redact_text(text) == text
