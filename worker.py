"""Composition root of the Temporal worker: `python worker.py`, configured by the environment (settings.py)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx
import structlog
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.batch_items import BatchItemTable
from activities.batches import BatchActivities, batch_queue
from activities.breaker import Breaker
from activities.fraud import FraudActivities
from activities.payments import PaymentActivities
from activities.rail import RAIL_OPEN, RAIL_OPEN_HELP, RailActivities, breakers, rail_client
from activities.standing_orders import StandingOrderActivities
from activities.trading import TradingActivities
from activities.transfers import TransferActivities
from collecting import spare_what_stays
from logs import configure_logging
from settings import Settings
from wiring import Books, connect_temporal, leave, open_books
from workflows.after_payment import DisputeWorkflow, RefundWorkflow
from workflows.fraud_case import FraudCaseWorkflow
from workflows.order import OrderWorkflow
from workflows.payment import PaymentWorkflow
from workflows.standing_order import StandingOrderRunWorkflow
from workflows.transfer import TransferWorkflow
from workflows.transfer_batch import BatchTransferWorkflow

log = structlog.get_logger()


def build_id() -> str:
    """Names the code that runs; without one the SDK hashes every loaded module at start."""
    try:
        return f"tidemark-{version('tidemark')}"
    except PackageNotFoundError:
        return "tidemark-source"


WORKFLOWS: list[type] = [
    PaymentWorkflow,
    RefundWorkflow,
    DisputeWorkflow,
    TransferWorkflow,
    FraudCaseWorkflow,
    BatchTransferWorkflow,
    OrderWorkflow,
    StandingOrderRunWorkflow,
]


def workflow_runner(sandbox: bool) -> WorkflowRunner:
    """The sandbox refuses clocks and randomness, at a price; what guards workflows without it is in
    docs/adr/0065-no-sandbox.md. Importing our modules anew for every run would buy nothing, so that is off.
    """
    if not sandbox:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_all_modules())


def make_worker(
    client: Client,
    books: Books,
    http: httpx.AsyncClient,
    settings: Settings,
    extra: Sequence[type] = (),
    *,
    guards: Mapping[str, Breaker] | None = None,
) -> Worker:
    """Everything the worker runs, in one list each. `extra`: further workflows, of a benchmark.

    `guards`: the rails' breakers, where somebody wants to see their state.
    """
    payments = PaymentActivities(books.ledger, settings)
    transfers = TransferActivities(books.ledger, settings)
    fraud = FraudActivities(books.ledger, settings)
    trading = TradingActivities(books.ledger, settings)
    standing_orders = StandingOrderActivities(client, books.ledger, settings)
    table = BatchItemTable(books.pool)
    batches = BatchActivities(client, books.ledger, books.store, books.bulk, table, settings)
    rail = RailActivities(http, settings, guards)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[*WORKFLOWS, *extra],
        activities=[
            payments.open_payment,
            payments.review_payment,
            payments.capture_payment,
            payments.cancel_payment,
            payments.expire_payment,
            payments.refund_payment,
            payments.open_dispute,
            payments.resolve_dispute,
            transfers.open_transfer,
            transfers.review_transfer,
            transfers.cancel_transfer,
            transfers.debit_source,
            transfers.credit_destination,
            transfers.refuse_credit,
            transfers.record_unknown,
            transfers.release_source,
            transfers.refund_source,
            transfers.finish_compensation,
            transfers.block_compensation,
            transfers.move_to_suspense,
            transfers.resolve_transfer,
            fraud.open_case,
            fraud.assign_case,
            fraud.note_case,
            fraud.escalate_case,
            fraud.decide_case,
            fraud.freeze_account,
            fraud.settle_case,
            trading.place_order,
            trading.amend_order,
            trading.cancel_order,
            trading.expire_order,
            trading.look_at_order,
            trading.settle_trade,
            trading.bust_trade,
            standing_orders.make_run,
            standing_orders.follow_order,
            batches.advance_batch,  # where a batch of before it had a queue of its own has scheduled it
            batches.hand_over_items,
            batches.pause_batch,
            batches.resume_batch,
            batches.cancel_batch,
            rail.submit_credit,
            rail.inquire_credit,
        ],
        workflow_runner=workflow_runner(settings.workflow_sandbox),
        build_id=build_id(),
        max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks,
        # Payloads stay in the history, so looking whether one lies elsewhere is not worth a task of the loop each.
        max_workflow_task_external_storage_concurrency=1,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.workflow_task_timeout_s),
        graceful_shutdown_timeout=timedelta(seconds=10),
    )


def make_batch_worker(client: Client, books: Books, settings: Settings) -> Worker:
    """The stretches of batches, beside a `make_worker`."""
    table = BatchItemTable(books.pool)
    batches = BatchActivities(client, books.ledger, books.store, books.bulk, table, settings)
    return Worker(
        client,
        task_queue=batch_queue(settings.task_queue),
        activities=[batches.advance_batch],
        build_id=build_id(),
        graceful_shutdown_timeout=timedelta(seconds=10),
    )


async def main(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then lets what is under way finish."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.metrics_port is not None:
        # The SDK's own: workflow and activity latencies, slots in use, sticky cache.
        bind = f"{settings.metrics_host}:{settings.metrics_port}"
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=bind))))
    guards = _observed_breakers(settings)
    client = await connect_temporal()
    async with (
        open_books(settings, "tidemark-worker") as books,
        rail_client() as http,
        make_worker(client, books, http, settings, guards=guards),
        make_batch_worker(client, books, settings),
    ):
        if settings.ready_file:
            Path(settings.ready_file).touch()
        spare_what_stays()
        log.info("worker ready", task_queue=settings.task_queue)
        await stop.wait()
        log.info("worker stopping")


def _observed_breakers(settings: Settings) -> dict[str, Breaker]:
    """The rails' breakers; Prometheus sees them beside the SDK's metrics, by the API's name for it."""
    if settings.metrics_port is None:
        return breakers(settings)
    gauge = Runtime.default().metric_meter.create_gauge(RAIL_OPEN, RAIL_OPEN_HELP)
    return breakers(settings, lambda rail, closed: gauge.set(0 if closed else 1, {"rail": rail}))


if __name__ == "__main__":
    given = Settings()
    configure_logging(given.log_level)
    asyncio.run(main(given))
    leave(0)
