"""A rate provider, played by ourselves: `python -m demo.rates [PORT]`, for a local stack and for tests.

It speaks what activities/rates.py asks: `GET /rates/EUR/USD`. Its rates are made up and move a little each second,
as rates do; they are no statement about the world.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PER_EURO = {
    "EUR": Decimal(1),
    "USD": Decimal("1.0842"),
    "JPY": Decimal("162.88"),
    "KWD": Decimal("0.3329"),
    "CHF": Decimal("0.9451"),
    "GBP": Decimal("0.8497"),
}
_STEPS = 7
_STEP = Decimal("0.0001")


def rate(sold: str, bought: str, second: int) -> Decimal | None:
    """What one unit of `sold` is worth in `bought`; None for a pair that is not offered."""
    if sold not in PER_EURO or bought not in PER_EURO or sold == bought:
        return None
    moved = 1 + _STEP * (second % _STEPS - _STEPS // 2)
    return round(PER_EURO[bought] / PER_EURO[sold] * moved, 8)


class Desk(BaseHTTPRequestHandler):
    """Answers one question."""

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        found = rate(parts[1], parts[2], int(time.time())) if len(parts) == 3 and parts[0] == "rates" else None
        if found is None:
            self._send(404, {"code": "pair_not_offered"})
        else:
            self._send(200, {"rate": f"{found:f}", "at": datetime.now(UTC).isoformat()})

    def _send(self, status: int, body: dict[str, str]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        pass


@contextmanager
def rate_desk() -> Iterator[str]:
    """The provider on a free port of 127.0.0.1, for the time of the block; its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, name="rate-desk", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    standing = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Desk)
    sys.stdout.write(f"TIDEMARK_FX__RATES_URL=http://127.0.0.1:{standing.server_port}\n")
    sys.stdout.flush()
    standing.serve_forever()
