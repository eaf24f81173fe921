"""A Temporal server of the user's: reached as their environment and profiles say, told our search attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from stack.errors import PartUnavailable
from stack.progress import Progress

_KINDS = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}
ANSWER_LIMIT_S = 20.0


def prepare_external(env: Mapping[str, str], attributes: Mapping[str, str], progress: Progress) -> None:
    """Make sure that the server answers and knows the search attributes (name → `Keyword` or `KeywordList`).

    Raises `PartUnavailable` when it does not answer. A server that lets only its administrators add attributes
    is told of, not failed: they may be there already.
    """
    try:
        asyncio.run(asyncio.wait_for(_prepare(env, attributes, progress), ANSWER_LIMIT_S))
    except (RuntimeError, ValueError, TimeoutError) as error:
        why = str(error).splitlines()[0] if str(error) else f"no answer within {ANSWER_LIMIT_S:.0f} s"
        raise PartUnavailable("temporal", f"TEMPORAL_ADDRESS cannot be reached: {why}") from error


async def _prepare(env: Mapping[str, str], attributes: Mapping[str, str], progress: Progress) -> None:
    client = await Client.connect(**ClientConfig.load_client_connect_config(override_env_vars=dict(env)))
    try:
        asked = ListSearchAttributesRequest(namespace=client.namespace)
        known = (await client.operator_service.list_search_attributes(asked)).custom_attributes
        missing = {name: _KINDS[kind] for name, kind in attributes.items() if name not in known}
        if missing:
            new = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            await client.operator_service.add_search_attributes(new)
    except RPCError as error:
        names = ", ".join(attributes)
        progress("temporal", f"the search attributes {names} must be there; could not see to it: {error.message}")
