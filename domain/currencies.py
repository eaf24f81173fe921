"""ISO 4217: which currencies exist and how many decimals (the exponent of the minor unit) each has.

Source: ISO 4217 list one, active codes with a minor unit. Codes without one (XAU, XTS, XXX …) are no money here.
"""

from __future__ import annotations

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


def exponent(currency: str) -> int:
    """How many decimals `currency` has (JPY 0, EUR 2, KWD 3). Raises InvalidMoney for an unknown code."""
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        raise InvalidMoney(
            "unknown_currency",
            f"unknown currency {currency!r}: expected an ISO 4217 code such as EUR",
            "currency",
        ) from None
