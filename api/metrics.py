"""What Prometheus learns of the API."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from activities.rail import RAIL_OPEN, RAIL_OPEN_HELP

BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Routes are templates (`/v1/payments/{payment_id}`), so that no id becomes a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "tidemark_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "tidemark_http_request_seconds",
            "From the first byte in to the last byte out.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge("tidemark_http_requests_in_flight", "Requests under way.", registry=registry)
        self.rail_open = Gauge(RAIL_OPEN, RAIL_OPEN_HELP, ["rail"], registry=registry)
        self.replayed = Counter(
            "tidemark_http_replayed", "Answers given again to a repeated request.", registry=registry
        )
