"""Another bank's gateway that behaves badly: `python rail.py PORT SEED`. It books a key once, whatever it answers.

How it treats a key follows from the seed and the key: at once, late (past our patience), never (the connection is
closed, with or without the credit booked), twice (the same answer two times), refused, or refused late.
An account that ends in `refuses` is always refused late.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE_S = 2.5
MANNERS = ("prompt", "prompt", "prompt", "late", "booked, no answer", "deaf", "twice", "refuses", "refuses late")

booked: dict[str, dict[str, str]] = {}
refused: set[str] = set()
asked: set[str] = set()
lock = threading.Lock()
seed = ""


def manner_of(key: str, account: str) -> str:
    if account.endswith("refuses"):
        return "refuses late"
    return MANNERS[hashlib.sha256(f"{seed}{key}".encode()).digest()[0] % len(MANNERS)]


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        key = self.path.rpartition("/")[2]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        manner = manner_of(key, body["account"])
        with lock:
            first = key not in asked
            asked.add(key)
            if manner.startswith("refuses"):
                refused.add(key)
            elif not (manner == "deaf" and first):
                booked.setdefault(key, body)
        if first and manner in ("deaf", "booked, no answer"):
            self.close_connection = True
            return
        if first and manner.endswith("late"):
            time.sleep(LATE_S)
        self._answer(key)
        if manner == "twice":
            self._answer(key)

    def do_GET(self) -> None:
        if self.path == "/booked":
            self._send(200, {"booked": booked})
        else:
            self._answer(self.path.rpartition("/")[2])

    def _answer(self, key: str) -> None:
        if key in refused:
            self._send(422, {"code": "account_unknown", "reason": "no such account at this bank"})
        elif key in booked:
            self._send(200, {"reference": f"rail-{key}"})
        else:
            self._send(404, {"code": "not_received", "reason": "never seen"})

    def _send(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        pass


if __name__ == "__main__":
    seed = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Gateway).serve_forever()
