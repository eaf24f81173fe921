"""A rate provider that behaves badly: `python rates.py PORT SEED`. One answer in five is late, a fault, or old.

Its rates change with every question, so that no two quotes promise the same.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE_S = 3.0
MANNERS = (*("prompt",) * 12, "late", "fault", "old")
PER_EURO = {"EUR": 1.0, "USD": 1.0842}

dice = random.Random()
questions = itertools.count()


class Desk(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sold, bought = self.path.strip("/").split("/")[1:]
        manner, at = dice.choice(MANNERS), datetime.now(UTC)
        if manner == "late":
            time.sleep(LATE_S)
        rate = PER_EURO[bought] / PER_EURO[sold] * (1 + next(questions) % 97 / 10_000)
        said = {"rate": f"{rate:.8f}", "at": (at - timedelta(hours=manner == "old")).isoformat()}
        payload = json.dumps(said).encode()
        self.send_response(500 if manner == "fault" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        pass


if __name__ == "__main__":
    dice.seed(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Desk).serve_forever()
