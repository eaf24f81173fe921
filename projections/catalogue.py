"""The list of read views: what the projector keeps up to date, by name."""

from __future__ import annotations

from projections.errors import UnknownView
from projections.model import View, Views
from projections.views import (
    accounts,
    conservation,
    fraud_cases,
    in_transit_and_suspense,
    ledger,
    order_books,
    orders,
    payment_analytics,
    payments,
    portfolio,
    quotes,
    screenings,
    standing_orders,
    trades,
    transfer_batches,
    transfers,
    user_payment_summary,
)

VIEWS: Views = {
    view.name: view
    for view in (
        accounts.VIEW,
        ledger.VIEW,
        payments.VIEW,
        transfers.VIEW,
        transfer_batches.VIEW,
        quotes.VIEW,
        standing_orders.VIEW,
        in_transit_and_suspense.VIEW,
        conservation.VIEW,
        user_payment_summary.VIEW,
        payment_analytics.VIEW,
        fraud_cases.VIEW,
        screenings.VIEW,
        orders.VIEW,
        order_books.VIEW,
        trades.VIEW,
        portfolio.VIEW,
    )
}


def view_named(name: str) -> View:
    """Raises UnknownView, whose message lists the names there are."""
    try:
        return VIEWS[name]
    except KeyError:
        raise UnknownView(f"there is no view {name!r}; there are {', '.join(sorted(VIEWS))}") from None
