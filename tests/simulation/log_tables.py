"""The log's tables in memory, and what its named statements do with them. Each statement is atomic.

Behind the very statements of eventstore/queries.py, so that everything above them is the real code: EventStore,
group commit, `handle`, its cache and retries. What is not in memory is PL/pgSQL and locking.
Held to Postgres by tests/integration/test_simulated_tables.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from eventstore import queries
from eventstore.hashing import GENESIS

Row = tuple[Any, ...]


class LogTables:
    """`on_append(rows)` sees each append as it commits; raising there ends the run."""

    def __init__(self, on_append: Callable[[list[Row]], None]) -> None:
        self.streams: dict[str, list[Row]] = {}
        self.ends: dict[str, tuple[int, bytes]] = {}
        self.commands: dict[str, Row] = {}
        self.snapshots: dict[str, Row] = {}
        self.unsequenced: list[list[Row]] = []
        self.numbered: list[Row] = []
        self.appends = 0
        self._on_append = on_append
        self.statements: dict[str, Callable[[Mapping[str, Any]], list[Row]]] = {
            queries.APPEND: self._append,
            queries.LOAD: self._load,
            queries.LOAD_WITH_SNAPSHOT: self._load_with_snapshot,
            queries.FIND_COMMAND: self._find_command,
            queries.READ: self._read,
            queries.FOLLOW: self._follow,
            queries.HEAD: self._head,
            queries.SAVE_SNAPSHOTS: self._save_snapshots,
            queries.WAKE_SEQUENCER: lambda _: [],  # an append wakes it here
        }

    def copy(self, other: LogTables) -> None:
        """Begin where another log stands; nothing of it is numbered yet."""
        self.streams = {stream: list(rows) for stream, rows in other.streams.items()}
        self.ends, self.commands, self.appends = dict(other.ends), dict(other.commands), other.appends
        self.unsequenced = list(other.unsequenced)

    # --- append ------------------------------------------------------------

    def _append(self, parameters: Mapping[str, Any]) -> list[Row]:
        asked = orjson.loads(parameters["batch"])
        known = {
            command_id: {"append_id": row[1], "fingerprint": row[2].hex(), "outcome": row[3]}
            for command_id in (request["command_id"] for request in asked["requests"])
            if (row := self.commands.get(command_id)) is not None
        }
        actual = self._not_as_expected(asked["writes"])
        if known or actual:
            return [(None, known or None, actual or None)]
        append_ids = []
        for number, request in enumerate(asked["requests"], 1):
            self.appends += 1
            append_ids.append(self.appends)
            fingerprint = bytes.fromhex(request["fingerprint"][2:])
            self.commands[request["command_id"]] = (
                request["command_id"], self.appends, fingerprint, request["outcome"]
            )  # fmt: skip
            self._store([event for event in asked["events"] if event["request"] == number], request)
        for write in asked["writes"]:
            if write["version"]:
                self.ends[write["stream"]] = (write["version"], bytes.fromhex(write["hash"][2:]))
        return [(append_ids, None, None)]

    def _not_as_expected(self, writes: list[dict[str, Any]]) -> dict[str, Any]:
        due = {write["stream"]: self.ends.get(write["stream"], (0, GENESIS)) for write in writes}
        wrong: dict[str, Any] = {}
        for write in writes:
            stream = write["stream"]
            if due[stream] != (write["expected"], bytes.fromhex(write["last_hash"][2:])):
                version, last_hash = self.ends.get(stream, (0, GENESIS))
                wrong[stream] = {"version": version, "last_hash": last_hash.hex()}
            due[stream] = (write["version"], bytes.fromhex(write["hash"][2:]))
        return wrong

    def _store(self, events: list[dict[str, Any]], request: dict[str, Any]) -> None:
        rows: list[Row] = []
        for event in events:
            row = (
                None, (self.appends << 16) + event["index"], UUID(event["event_id"]), event["stream"],
                event["version"], event["type"], event["schema_version"], event["data"], request["metadata"],
                datetime.fromisoformat(request["recorded_at"]), bytes.fromhex(event["prev_hash"][2:]),
                bytes.fromhex(event["hash"][2:]),
            )  # fmt: skip
            rows.append(row)
            self.streams.setdefault(event["stream"], []).append(row)
        self.unsequenced.append(rows)
        self._on_append(rows)

    # --- reading ------------------------------------------------------------

    def _load(self, parameters: Mapping[str, Any]) -> list[Row]:
        pairs = zip(parameters["streams"], parameters["after"], strict=True)
        return [row for stream, after in pairs for row in self.streams.get(stream, ())[after:]]

    def _load_with_snapshot(self, parameters: Mapping[str, Any]) -> list[Row]:
        found: list[Row] = []
        for stream, state_version in zip(parameters["streams"], parameters["state_versions"], strict=True):
            snapshot = self.snapshots.get(stream)
            version, last_hash, state = None, None, None
            if snapshot is not None and snapshot[2] == state_version:
                version, last_hash, state = snapshot[1], snapshot[4], snapshot[3]
            events = self.streams.get(stream, [])[version or 0 :]
            if events:
                found += [
                    (stream, version, last_hash, state if n == 0 else None, *row) for n, row in enumerate(events)
                ]
            elif version is not None:
                found.append((stream, version, last_hash, state, *[None] * 12))
        return found

    def _find_command(self, parameters: Mapping[str, Any]) -> list[Row]:
        row = self.commands.get(parameters["command_id"])
        return [] if row is None else [row]

    def _save_snapshots(self, parameters: Mapping[str, Any]) -> list[Row]:
        for given in orjson.loads(parameters["snapshots"]):
            old = self.snapshots.get(given["stream"])
            if old is None or old[2] != given["state_version"] or old[1] < given["version"]:
                last_hash = bytes.fromhex(given["last_hash"][2:])
                self.snapshots[given["stream"]] = (
                    given["stream"], given["version"], given["state_version"], given["state"], last_hash
                )  # fmt: skip
        return []

    # --- positions ------------------------------------------------------------

    def sequence(self, appends: int) -> int:
        """Number so many appends, in the order they committed; how many it were."""
        now, self.unsequenced = self.unsequenced[:appends], self.unsequenced[appends:]
        for rows in now:
            for row in rows:
                self.numbered.append((len(self.numbered) + 1, *row[1:]))
        return len(now)

    def _read(self, parameters: Mapping[str, Any]) -> list[Row]:
        """`limit` events, and the rest of the append that the limit would cut."""
        after, upto = parameters["after"], parameters["after"] + parameters["limit"]
        while 0 < upto < len(self.numbered) and self.numbered[upto][1] >> 16 == self.numbered[upto - 1][1] >> 16:
            upto += 1
        return self.numbered[after:upto]

    def _follow(self, parameters: Mapping[str, Any]) -> list[Row]:
        """The columns that views need; the JSON as text."""
        return [
            (row[0], row[1], *row[3:7], orjson.dumps(row[7]).decode(), row[9]) for row in self._read(parameters)
        ]

    def _head(self, parameters: Mapping[str, Any]) -> list[Row]:
        waiting = [row for rows in self.unsequenced for row in rows]
        oldest = min((row[9] for row in waiting), default=None)
        return [(len(self.numbered), len(waiting), oldest)]
