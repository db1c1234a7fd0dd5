"""ISO 4217: the currencies in which one can pay, and how many decimals each has.

A table of our own, because those at hand say what is customary to show and not what ISO 4217 says: CLDR, which Babel
carries, has no decimals for IQD, LBP and eleven others that have two or three.
"""

from __future__ import annotations

from tollkeeper.errors import UnprocessableError

__all__ = ["MINOR_DIGITS", "NO_CURRENCY", "check_currency"]

NO_CURRENCY = "XXX"
"""What ISO 4217 has for where no currency is meant: prices of nothing may be in it."""

NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
TWO_DECIMALS = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
    CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN
    NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC
    SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
FOUR_DECIMALS = "CLF UYW"

MINOR_DIGITS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, NO_DECIMALS), (2, TWO_DECIMALS), (3, THREE_DECIMALS), (4, FOUR_DECIMALS))
    for code in codes.split()
}
"""The decimals of each currency by its code. What is no money to pay with (gold, XXX) is not in it."""


def check_currency(currency: str) -> str:
    """Refuse what is no currency to pay with; raises UnprocessableError."""
    if currency not in MINOR_DIGITS:
        raise UnprocessableError(f"The currency is {currency!r}: give a code of ISO 4217 for money, e.g. EUR.")
    return currency
