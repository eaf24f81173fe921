"""How many connections the API holds: fewer than it may have open files, so that the rest finds place."""

from __future__ import annotations

import asyncio
import resource
from typing import Final, cast

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST: Final = 4_096
KEPT_FREE: Final = 256
"""Open files for everything else: pools, spooled bodies, Temporal, logs."""

_BODY: Final = orjson.dumps(
    {
        "type": "urn:tidemark:problem:overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": "too many connections",
        "code": "overloaded",
    }
)
REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Retry-After: 2\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def connections_allowed() -> int:
    """By us, or by what this process may have open."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MOST, open_files - KEPT_FREE))


class BoundedConnection(HttpToolsProtocol):
    """One connection too many is told so and closed; those that are there go on."""

    most = connections_allowed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.most:
            self.transport.write(REFUSAL)
            self.transport.close()
