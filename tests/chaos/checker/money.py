"""Money as it stands in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

DECIMALS: Final = {"EUR": 2, "USD": 2}


def minor(money: Mapping[str, str]) -> int:
    """`{"amount": "12.50", "currency": "EUR"}` in cents."""
    return int(Decimal(money["amount"]).scaleb(DECIMALS[money["currency"]]))
