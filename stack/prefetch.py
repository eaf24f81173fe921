"""Gets the Temporal server's program before the tests need it, with progress: `python -m stack.prefetch`.

So that no test's time limit has to allow for a build of minutes.
"""

from __future__ import annotations

import os
import sys

from stack.errors import StackError
from stack.progress import console_progress
from stack.temporal_binary import find_or_get


def main() -> int:
    """0 once it is there (or an external server makes it needless), 1 with one line that says why not."""
    if os.environ.get("TEMPORAL_ADDRESS"):
        return 0
    try:
        with console_progress() as progress:
            find_or_get(os.environ, progress)
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
