"""Secrets that show by their shape, whatever they are called: tokens, keys and card numbers."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BEGINNING", "LETTERS", "LONG_NUMBER", "find_values", "is_card_number"]

# One of these letters is in the beginning of each of the shapes below, and they are rare: what is skipped costs little.
LETTERS = "JBbAxkW_"
BEGINNING = (
    r"[_-](?<=[sr]k.)|t?_(?<=tk_|kt_)|(?<=ey[JA])|(?<=W)(?:3s|yJ)|[eEaA](?<=[Bb].)(?i:arer|sic)[\s+]|[KSI](?<=A.)[Iz][Aa]"
    r"|ox[a-z]-(?<=xox..)|EGIN(?<=-----BEGIN)|(?<=_)(?:(?<=gh[opsur]_)|(?<=_pat_)|(?<=whsec_))"
)
BEGINNINGS = re.compile(f"[{LETTERS}](?:{BEGINNING})")
LONG_NUMBER = re.compile(r"[0-9][0-9 -]{12}")
# Nothing that is tried twice may be unbounded: a shape that fails late has eaten, possessively, what it has seen.
VALUES = re.compile(
    r"(?P<jwt>eyJ[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+){2,4})"
    r"|(?P<none>eyJ[A-Za-z0-9_-]++)"
    r"|[Bb](?i:earer)(?:\s++|\+)(?!(?i:auth|token|scheme|realm=|credential|\w{1,40}=[\"\\]))(?P<bearer>[\w.~+/=:%|-]{6,}+)"
    r"|[Bb](?i:asic)(?:\s++|\+)(?P<basic>[A-Za-z0-9+/_-]{2,}+={0,2})"
    r"|(?P<card>[0-9](?:[ -]?[0-9]){12,}+)"
    r"|(?P<stripe>[sr]k_(?:live|test)_[A-Za-z0-9]{10,}+|whsec_[A-Za-z0-9+/=]{16,}+)"
    r"|(?P<openai>sk-(?=[A-Za-z_-]{0,40}+[0-9])[A-Za-z0-9_-]{20,}+)"
    r"|(?P<github>gh[opsur]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+)"
    r"|(?P<aws>A[KS]IA[A-Z0-9]{16}+)"
    r"|(?P<google>AIza[A-Za-z0-9_-]{35}+)"
    r"|(?P<slack>xox[a-z]-[A-Za-z0-9-]{10,}+)"
    r"|(?P<tollkeeper>tkt?_[A-Za-z0-9_-]{20,}+)"
    r"|-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?P<pem>[\s\S]+?)(?=-----END|\Z)"
)
WITHIN_WORDS = frozenset({"jwt", "bearer", "basic", "card", "pem"})
EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)+")
ISSUED = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}(?:[0-9]{2})?"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2}|62[0-9]{2}|35(?:2[89]|[3-8][0-9]))[0-9]{12,15}"  # Discover, UnionPay, JCB
    r"|(?:5018|5020|5038|58[0-9]{2}|63[0-9]{2}|67[0-9]{2}|220[0-4])[0-9]{9,15}"  # Maestro, Mir
)
DOUBLED = str.maketrans("0123456789", "0246813579")
CARD_DIGITS = range(13, 20)


def find_values(text: str, *, emails: bool = False) -> Iterator[tuple[int, int]]:
    """Where secrets of a known shape stand, and if asked e-mail addresses."""
    likely = BEGINNINGS.search(text) or LONG_NUMBER.search(text)
    for match in VALUES.finditer(text) if likely else ():
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        if kind == "card":
            yield from _cards(text, start, end)
        elif kind == "basic":
            if _is_basic(match["basic"]):
                yield start, end
        elif kind != "none" and (kind in WITHIN_WORDS or not text[start - 1 : start].isalnum()):
            yield start, end
    if emails:
        for match in EMAIL.finditer(text):
            yield match.span()


def is_card_number(digits: str) -> bool:
    """Whether digits, and nothing else, are the number of a card: an issuer's, of a right length, that passes Luhn."""
    return ISSUED.fullmatch(digits) is not None and any(_cards_in(digits, [0], {len(digits)}))


def _cards(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The cards among groups of digits: where a group begins and ends a card may, within it none does."""
    places = [at for at in range(start, end) if text[at] not in " -"]
    digits = text[start:end].replace(" ", "").replace("-", "")
    begins = [index for index, at in enumerate(places) if index == 0 or places[index - 1] != at - 1]
    if text[start - 1 : start] == "." and text[start - 2 : start - 1].isdigit():
        begins.pop(0)  # the decimals of a number
    for first, last in _cards_in(digits, begins, {*begins, len(places)}):
        yield places[first], places[last - 1] + 1


def _cards_in(digits: str, begins: list[int], ends: set[int]) -> Iterator[tuple[int, int]]:
    sums = _luhn_sums(digits)
    free = 0
    for first in begins:
        for last in range(first + CARD_DIGITS.stop - 1, first + CARD_DIGITS.start - 1, -1) if first >= free else ():
            if last in ends:
                counted = sums[last % 2]
                if (counted[last] - counted[first]) % 10 == 0 and ISSUED.fullmatch(digits, first, last):
                    yield first, last
                    free = last
                    break


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Running sums of the digits, every second of them doubled: for numbers that end before an even, an odd index."""
    plain, doubled = list(map(int, digits)), list(map(int, digits.translate(DOUBLED)))
    sums = []
    for end in (0, 1):
        counted = plain.copy()
        counted[end::2] = doubled[end::2]
        sums.append([0, *accumulate(counted)])
    return sums[0], sums[1]


def _is_basic(credentials: str) -> bool:
    plain = credentials.rstrip("=").translate({45: 43, 95: 47})
    try:
        return b":" in base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return False
