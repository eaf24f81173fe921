"""The chart of a run: one bar a row, how far it is beyond its goal or short of it. Plain SVG, light or dark."""

from __future__ import annotations

import math
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.report import ratio_of

WIDTH, LEFT, RIGHT, LINE, TOP = 860, 420, 90, 26, 56
LEAST, MOST = 0.25, 8.0
"""Ends of the scale, as a share of the goal; it is logarithmic."""
TITLE = "Each comparison against its goal"
GOOD, BAD, GREY = "#2f9e63", "#d9822b", "#8a8f98"


def chart(found: dict[str, Any]) -> str:
    """Of a report's JSON."""
    rows = [row for row in found["rows"] if "refused" not in row]
    height = TOP + LINE * len(rows) + 24
    goal = _x(1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{TITLE}">',
        f'<text x="12" y="22" font-size="15" font-weight="bold" fill="{GREY}">{TITLE}</text>',
        f'<text x="{goal:.0f}" y="40" text-anchor="middle" fill="{GREY}">goal</text>',
    ]
    for number, row in enumerate(rows):
        parts += _bar(row, TOP + LINE * number, goal)
    parts.append(f'<line x1="{goal:.0f}" x2="{goal:.0f}" y1="{TOP - 8}" y2="{height - 20}" stroke="{GREY}"/>')
    parts.append("</svg>\n")
    return "\n".join(parts)


def _bar(row: dict[str, Any], y: float, goal: float) -> list[str]:
    share = row["goal"] / row["ratio"] if row["at_most"] else row["ratio"] / row["goal"]
    end, colour = _x(share), GOOD if row["met"] else BAD
    left, right = sorted((goal, end))
    middle = y + LINE / 2
    label = f"{ratio_of(row)}× (goal {'≤' if row['at_most'] else '≥'} {row['goal']:g}×)"
    where, anchor = (right + 6, "start") if end >= goal else (left - 6, "end")
    return [
        f'<text x="{LEFT - 130}" y="{middle + 4:.0f}" text-anchor="end" fill="{GREY}">'
        f"{escape(row['number'])} {escape(row['work'])}</text>",
        f'<rect x="{left:.1f}" y="{y + 4:.0f}" width="{max(right - left, 1):.1f}" height="{LINE - 8}" rx="2" '
        f'fill="{colour}"/>',
        f'<text x="{where:.1f}" y="{middle + 4:.0f}" text-anchor="{anchor}" fill="{GREY}">{escape(label)}</text>',
    ]


def _x(share: float) -> float:
    """Where a share of the goal is on the scale."""
    inside = min(max(share, LEAST), MOST)
    place = (math.log(inside) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))
    return LEFT + place * (WIDTH - LEFT - RIGHT - 60)
