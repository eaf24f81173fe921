"""What an amount can be of, and how many decimals (the exponent of the minor unit) it has: a currency, or a share.

Source of the currencies: ISO 4217 list one, active codes with a minor unit. Codes without one (XAU, XTS, XXX …)
are no money here. A share's code is known by its shape, so that what is in the log can be read without a register
of instruments; which shares there are is another matter: no account opens in one that is not listed (book.py).
"""

from __future__ import annotations

import re
from functools import lru_cache

from domain.errors import InvalidMoney

_EXPONENT_2 = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS "
    "VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
)
_EXPONENT_0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENT_3 = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENT_4 = "CLF UYW"

EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in ((2, _EXPONENT_2), (0, _EXPONENT_0), (3, _EXPONENT_3), (4, _EXPONENT_4))
    for code in codes.split()
}

_SHARE = re.compile(r"[A-Z][A-Z0-9]*(\.[A-Z0-9]+)*", re.ASCII)


@lru_cache(maxsize=10_000)
def is_share(code: str) -> bool:
    """Whether `code` is of a share: 4 to 12 capitals, digits and dots, such as AAPL or SAP.DE.

    It never begins with a currency's code, so that EURO is a mistake and not a share; a ticker that is too short,
    or does, says its market first: US.IBM, US.ALLY.
    """
    return 4 <= len(code) <= 12 and _SHARE.fullmatch(code) is not None and code[:3] not in EXPONENTS


def exponent(currency: str) -> int:
    """How many decimals `currency` has (JPY 0, EUR 2, KWD 3, a share 0). Raises InvalidMoney for any other."""
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        if isinstance(currency, str) and is_share(currency):
            return 0
        raise InvalidMoney(
            "unknown_currency",
            f"unknown currency {currency!r}: expected an ISO 4217 code such as EUR",
            "currency",
        ) from None
