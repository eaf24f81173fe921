"""What workflows can be searched by in Temporal: registered on the server when the stack starts."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

STATUS = SearchAttributeKey.for_keyword("TidemarkStatus")
ACCOUNTS = SearchAttributeKey.for_keyword_list("TidemarkAccounts")
USER = SearchAttributeKey.for_keyword("TidemarkUser")
KIND = SearchAttributeKey.for_keyword("TidemarkKind")


def search_attributes(kind: str, status: str, *accounts: str) -> TypedSearchAttributes:
    """Of a new workflow."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(KIND, kind),
            SearchAttributePair(STATUS, status),
            SearchAttributePair(ACCOUNTS, list(accounts)),
        ]
    )
