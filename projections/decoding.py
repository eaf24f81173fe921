"""Reads a batch of the log once, decodes each event once, and deals it out to the views that want its type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain import catalogue
from domain.streams import category_of
from projections.errors import Undecodable
from projections.model import Batch, Record, Seen, Statement, Track, View, position_of


def decode(record: Record) -> Seen:
    """Raises Undecodable where this code cannot read the event."""
    try:
        event = catalogue.decode(record.stream, record.type, record.schema_version, record.data)
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from error
    return Seen(event, record)


@dataclass
class Dealt:
    """One read of the log, by what each set of wishes gets of it. `upto` is the last position read."""

    upto: int
    records: Sequence[Record]
    seen: dict[frozenset[tuple[str, str]], list[Seen]]
    unreadable: dict[frozenset[tuple[str, str]], Undecodable] = field(default_factory=dict)
    folds: dict[frozenset[tuple[str, str]], dict[Any, Any]] = field(default_factory=dict)


class Dealer:
    """Knows which views want which types. Views with the same wishes share a list, and what is folded from it."""

    def __init__(self, views: Iterable[View]) -> None:
        self._wishes = list({view.wants for view in views})
        self._takers: dict[tuple[str, str], list[frozenset[tuple[str, str]]]] = {}
        for wants in self._wishes:
            for key in wants:
                self._takers.setdefault(key, []).append(wants)

    def deal(self, records: Sequence[Record]) -> Dealt:
        """`records` is not empty."""
        dealt = Dealt(position_of(records[-1]), records, {wants: [] for wants in self._wishes})
        seen = dealt.seen
        for record in records:
            takers = self._takers.get((category_of(record.stream), record.type))
            if takers is None:
                continue
            try:
                decoded = decode(record)
            except Undecodable as error:
                for wants in takers:
                    dealt.unreadable.setdefault(wants, error)
                continue
            for wants in takers:
                seen[wants].append(decoded)
        return dealt


@dataclass
class Work:
    """What one build does to get from `since` to `upto`. All of it commits with the checkpoint, or nothing."""

    track: Track
    since: int
    upto: int
    statements: list[Statement]
    followers: list[Record]


def prepare(track: Track, since: int, dealt: Dealt) -> Work:
    """Pure. Raises Undecodable or whatever the view's handler raises."""
    view = track.view
    if view.wants in dealt.unreadable:
        raise dealt.unreadable[view.wants]
    events = dealt.seen[view.wants]
    overlaps = position_of(dealt.records[0]) <= since
    if not overlaps and not track.parked and not track.skipped:
        folds = dealt.folds.setdefault(view.wants, {})
        return Work(track, since, dealt.upto, view.apply(Batch(events, folds)) if events else [], [])
    followers, free = [], []
    for seen in events:
        if seen.position <= since or seen.position in track.skipped:
            continue
        if seen.record.stream in track.parked:
            followers.append(seen.record)
        else:
            free.append(seen)
    return Work(track, since, max(since, dealt.upto), view.apply(Batch(free)) if free else [], followers)


def by_append(records: Sequence[Record]) -> list[list[Record]]:
    """Cut where one append ends and the next begins."""
    appends: list[list[Record]] = []
    last = None
    for record in records:
        if record.append_id != last:
            appends.append([])
            last = record.append_id
        appends[-1].append(record)
    return appends
