"""Names that betray a secret, in any case, with any separators, in whatever letters and escapes."""

from __future__ import annotations

import re
import unicodedata

from tollkeeper.events.escapes import ESCAPE, unescape

__all__ = ["is_sensitive", "plain_name"]

# A name is sensitive when, written in lower case without separators, it contains one of these …
PARTS = re.compile(
    r"(?:access|account|admin|api|app|auth|client|consumer|decryption|deploy|encryption|functions?|hmac|license|master|"
    r"private|priv|root|service|session|shared|signing|ssh|subscription|vault|webhook)key|"
    r"(?:admin|db|ftp|ldap|mysql|pg|root|smtp|user|usr)pass|"
    r"authorization|(?:auth|backup|mfa|recovery|security|verification)code|assertion|bearer|cardn(?:o|um)|ccn(?:o|um)|"
    r"codeverifier|contrasena|cookie|creditcard|credential|csrf|cvv|debitcard|hmac|jwt|kennwort|mnemonic|motdepasse|"
    r"oauthverifier|pass(?:code|phrase|wd|word|wort)|passportn(?:o|um)|pswd|pwd|samlresponse|secret|seedphrase|"
    r"sess(?:ion|id)|signature|socialsecurity|token|wachtwoord|xsrf"
)
# … or when one of its words is one of these, too short to be looked for inside other words (className, author).
WORDS = frozenset(
    {
        "auth", "cvc", "cvn", "dbpw", "iban", "newpass", "oldpass", "otp", "pan", "pass", "passkey", "pin", "pincode",
        "psk", "psw", "pw", "senha", "sid", "sig", "ssn", "tfn", "totp", "userpw", "writekey", "xauthentication",
    }
)  # fmt: skip
SHORT = re.compile("|".join(sorted(WORDS)))
# How much of something was used or is allowed is no secret, and APIs to language models are all about it.
HARMLESS = re.compile(
    r"(?:audio|budget|cached|completion|image|input|max|min|n|num|output|prompt|reasoning|text|total)tokens|"
    r"max(?:completion|input|new|output|prompt|total)tokens|maxtokenstosample|(?:accepted|rejected)predictiontokens|"
    r"cache(?:creation|read)inputtokens|(?:completion|input|output|prompt)tokens?details|"
    r"(?:cachedcontent|candidates|prompt|thoughts|total)?tokens?count|tokens?(?:limit|usage|used)|tokeni[sz](?:er|ed)|tokentype|secretar(?:y|ies)|"
    r"x?ratelimit(?:limit|remaining|reset)tokens"
)
SEPARATOR = re.compile(r"[\W_]+")
CAMEL_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
LETTERS = re.compile(r"[^\W\d_]+")
# Letters of other scripts, and of the phonetic one, that look like those of the names above.
LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0435\u0456\u0458\u043a\u043c\u043d\u043e\u0440\u0441\u0455\u0442\u0443\u0445\u0501\u051b\u051d\u04bb\u04cf"
    "\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03f2\u0131\u0251\u0261",
    "abeijkmhopcstyxdqwhlaeikvoptuxciag",
)
LOOKALIKES |= {ord(chr(code).upper()): ord(chr(letter).upper()) for code, letter in LOOKALIKES.items()}
INVISIBLE = dict.fromkeys((0xAD, *range(0x300, 0x370), *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF))
READABLE: dict[int, int | None] = LOOKALIKES | INVISIBLE
LAYERS = 6


def is_sensitive(name: str) -> bool:
    """Tell whether values under this name are secrets; ``X-Api-Key``, ``api_key`` and ``apikey`` are one name."""
    letters = _letters(name)
    plain = SEPARATOR.sub("", letters.casefold())
    if not letters.isalnum() and ESCAPE.search(letters):
        return True  # nobody writes a harmless name like that
    if PARTS.search(plain):
        return not HARMLESS.fullmatch(plain)
    if not SHORT.search(plain):
        return False
    words = {plain, *LETTERS.findall(letters.casefold()), *map(str.lower, CAMEL_WORD.findall(letters))}
    return not WORDS.isdisjoint(words)


def plain_name(name: str) -> str:
    """The name in lower case without separators, accents and escapes: what its spellings have in common."""
    return SEPARATOR.sub("", _letters(name).casefold())


def _letters(name: str) -> str:
    for _ in range(LAYERS):
        if name.isalnum() or not ESCAPE.search(name):
            break
        name = unescape(name)
    if name.isascii():
        return name
    # Normalised, letters of full width are letters, and accents are marks of their own.
    return unicodedata.normalize("NFKD", name).translate(READABLE)
