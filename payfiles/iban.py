"""IBANs: shape, country length, check digits (ISO 13616; ISO 7064 mod 97-10; lengths from the IBAN registry)."""

from __future__ import annotations

import re

_SHAPE = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}", re.ASCII)

_LENGTHS = {
    length: codes.split()
    for length, codes in {
        15: "NO",
        16: "BE",
        18: "DK FK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
LENGTH_BY_COUNTRY = {code: length for length, codes in _LENGTHS.items() for code in codes}


def normalise(text: str) -> str:
    """Capitals, no spaces: `ch93 0076 …` → `CH930076…`."""
    return "".join(text.split()).upper()


def has_shape(iban: str) -> bool:
    """Two letters, two digits, up to 30 letters or digits."""
    return _SHAPE.fullmatch(iban) is not None


def doubt(iban: str) -> str | None:
    """Why a normalised IBAN is probably mistyped, or None. Expects the shape of `has_shape`."""
    expected = LENGTH_BY_COUNTRY.get(iban[:2])
    if expected is not None and len(iban) != expected:
        return f"IBAN {iban} has {len(iban)} characters, those of {iban[:2]} have {expected}"
    # Letters count as 10 to 35; int() in base 36 gives just that.
    number = "".join(str(int(char, 36)) for char in iban[4:] + iban[:4])
    if int(number) % 97 != 1:
        return f"IBAN {iban} has wrong check digits"
    return None


def looks_like(text: str) -> bool:
    """True for capitals of a known country in its very length: an IBAN rather than another kind of id."""
    compact = text.replace(" ", "")
    return has_shape(compact) and LENGTH_BY_COUNTRY.get(compact[:2]) == len(compact)
