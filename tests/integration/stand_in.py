"""A stand-in for one of our processes: gets ready, then waits for SIGTERM, which it ignores when told to.

stand_in.py [never-ready] [deaf]
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    if "never-ready" in sys.argv:
        sys.exit("cannot read my settings")
    Path(os.environ["TIDEMARK_READY_FILE"]).write_text(os.environ["DATABASE_URL"])
    while not asked or "deaf" in sys.argv:
        time.sleep(0.02)
