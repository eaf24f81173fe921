"""Money as it stands in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

DECIMALS: Final = {"EUR": 2, "USD": 2, "ACME": 0}
"""Of the currencies and the share of the load."""


def minor(money: Mapping[str, str]) -> int:
    """`{"amount": "12.50", "currency": "EUR"}` in cents; of a share, the shares."""
    return int(Decimal(money["amount"]).scaleb(DECIMALS[money["currency"]]))
