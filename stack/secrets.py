"""Passwords and keys of one stack: made at its first start, kept private in `<data dir>/secrets.json`."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from stack.errors import StackError
from stack.files import write_private


class SecretBook:
    """Gives each name one secret for ever. Used by one process at a time: the holder of the data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str, prefix: str = "") -> str:
        """The secret of this name; made on first use, `prefix` first, then 32 random bytes in URL-safe letters."""
        known = self._read()
        if name not in known:
            known[name] = prefix + secrets.token_urlsafe(32)
            write_private(self._path, json.dumps(known))
        return known[name]

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StackError(f"{self._path} is damaged; restore it, or remove the whole data directory") from error
        return {str(name): str(secret) for name, secret in known.items()}
