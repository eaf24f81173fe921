"""Another bank's gateway, played by the demo itself, so that transfers over a rail can be shown.

It speaks what activities/rail.py asks: `PUT` and `GET /credits/{key}`. What it does with a credit is told by the
end of the account's id: `-accepts`, `-refuses`, `-slow` (keeps silent at first, then says yes), and `-late-no`
(keeps silent until `say_no`, then refuses).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class OtherBank:
    """Credits by key. Used from the server's threads."""

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}
        self._asked: set[str] = set()
        self._noes: set[str] = set()
        self.url = ""

    def say_no(self, account: str) -> None:
        """From now on, credits to this `-late-no` account are refused."""
        self._noes.add(account)

    def answer(self, key: str, account: str | None) -> tuple[int, dict[str, str]]:
        """Status and body for a credit (`account` given) or an inquiry."""
        known = self._accounts.setdefault(key, account) if account else self._accounts.get(key)
        first = key not in self._asked
        self._asked.add(key)
        if known is None:
            return 404, {"code": "not_received"}
        if known.endswith("-slow") and first:
            return 503, {"code": "try_later"}
        if known.endswith("-late-no") and known not in self._noes:
            return 503, {"code": "try_later"}
        if known.endswith(("-refuses", "-late-no")):
            return 422, {"code": "creditor_unknown", "reason": "the other bank knows no such account"}
        return 200, {"reference": f"other-bank/{key}"}


@contextmanager
def other_bank() -> Iterator[OtherBank]:
    """The gateway on a free port of 127.0.0.1, for the time of the block."""
    bank = OtherBank()

    class Gateway(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*bank.answer(self._key(), str(body["account"])))

        def do_GET(self) -> None:
            self._send(*bank.answer(self._key(), None))

        def _key(self) -> str:
            return self.path.rpartition("/")[2]

        def _send(self, status: int, body: dict[str, str]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    bank.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="other-bank", daemon=True)
    thread.start()
    try:
        yield bank
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
