"""Writes the API's description: `python -m api.openapi docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.app import make_app


def described() -> str:
    """The description as it is committed."""
    return json.dumps(make_app().openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(described())
