"""All configuration, from the environment (prefix TIDEMARK_, nested with __) and nowhere else."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from functools import cached_property

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.screening import ScreeningLimits


class ApiSettings(BaseModel):
    """The HTTP API: TIDEMARK_API__PORT, TIDEMARK_API__RATE_PER_S and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    """0 takes a free one."""
    request_timeout_s: float = Field(default=30, gt=0)
    """No request is worked on for longer; its answer is 503 then."""
    outcome_timeout_s: float = Field(default=20, gt=0)
    """How long a payment or transfer may take to its first durable step before its answer is 503."""
    position_timeout_s: float = Field(default=2, ge=0)
    """How long an answer waits for its Event-Position; without one after that."""
    wait_timeout_s: float = Field(default=5, ge=0)
    """How long a read waits for `min_position` at most."""
    fresh_timeout_s: float = Field(default=0.2, ge=0)
    """How long a read without `min_position` waits for the views to reach the end of the log, at the most."""
    shutdown_timeout_s: int = Field(default=20, ge=1)
    """How long requests under way may go on after SIGTERM."""
    postgres_timeout_s: float = Field(default=3, gt=0)
    temporal_timeout_s: float = Field(default=3, gt=0)
    """How long one of these may be away before a request is answered with 503."""
    max_body_bytes: int = Field(default=64 * 1024, ge=1024)
    max_batch_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Of a batch of transfers as NDJSON, which is taken in as it comes."""
    max_batch_document_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    """Of one as a JSON document, which is read at once."""
    max_statement_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Of a bank's statement that is sent to be reconciled, which is read at once."""
    rate_per_s: float = Field(default=0, ge=0)
    """Requests per second and key; 0: no limit. `rate_burst` may come at once."""
    rate_burst: int = Field(default=100, ge=1)
    concurrent: int = Field(default=2048, ge=1)
    """Requests under way at once, of all keys; more are answered with 503 before anything is done for them."""
    concurrent_per_key: int = Field(default=1024, ge=0)
    """Requests of one key under way at once; 0: no limit."""
    worker: bool = True
    """Also run a worker in this process, so that what is asked here begins here, without a way over the server."""
    key_cache_s: float = Field(default=1, ge=0)
    """A revoked key may be good for so long still."""


class FxSettings(BaseModel):
    """Foreign exchange: TIDEMARK_FX__RATES_URL and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rates_url: str | None = None
    """Base URL of the rate provider (activities/rates.py says what it must answer). Without one: no quotes."""
    timeout_s: float = Field(default=2, gt=0)
    max_age_s: float = Field(default=300, gt=0)
    """A rate older than this is not quoted."""
    spread: Decimal = Field(default=Decimal("0.005"), ge=0, lt=1)
    """What the platform keeps: customers get the mid-market rate less this share of it."""
    valid_for_s: int = Field(default=60, ge=1)
    valid_for_max_s: int = Field(default=24 * 3600, ge=1)
    """The longest a customer may ask for: until then the platform bears the risk of the rate."""


class Settings(BaseSettings):
    """One per process, made in its composition root and passed on. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_nested_delimiter="__", extra="ignore")

    database_url: str = Field(default="", validation_alias=AliasChoices("TIDEMARK_DATABASE_URL", "DATABASE_URL"))
    """Of the application's role: it may append to the log and read, no more."""
    projector_database_url: str = ""
    """Of the projector's role; the application's where it is not set."""
    read_database_url: str = ""
    """Of the reader's role (queries); the application's where it is not set."""
    pool_size: int = Field(default=8, ge=1, le=100)

    task_queue: str = "tidemark"
    workflow_task_timeout_s: float = Field(default=10, ge=1, le=60)
    """How long Temporal waits for a worker that died in the middle of a workflow task."""
    max_concurrent_workflow_tasks: int = Field(default=900, ge=2)
    """More than are started here at once: eager starts that took every one left none for the tasks that end them,
    and each then waited out `workflow_task_timeout_s`. Fewer than the SDK's 1,000 workflows in memory."""
    workflow_sandbox: bool = False
    """Run workflows in the SDK's sandbox, as the tests do."""

    fee_rate: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    fee_account: str = "fees-{currency}"
    payment_expires_in_s: int = Field(default=7 * 24 * 3600, ge=1)
    reservation_expires_in_s: int = Field(default=3600, ge=1)
    screening: ScreeningLimits = ScreeningLimits()
    fraud_decide_within_s: int = Field(default=24 * 3600, ge=1)
    """After that a fraud case that nobody decided is escalated."""
    batch_chunk: int = Field(default=1000, ge=1, le=10_000)
    """Items of a batch in one append: more are faster, fewer disturb others less."""
    standing_order_grace_s: int = Field(default=3600, ge=0)
    """A standing order that skips missed runs takes one for missed when it is later than that."""
    trading_day_ends: time = time(0, 0)
    """When DAY orders expire, in UTC."""

    api: ApiSettings = ApiSettings()

    fx: FxSettings = FxSettings()

    rails: dict[str, str] = {}
    """Rail name → base URL of its gateway: TIDEMARK_RAILS='{"sepa": "http://127.0.0.1:9000"}'."""
    rail_timeout_s: float = Field(default=10, gt=0)

    ready_file: str | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    """A container says 0.0.0.0; everybody else stays on loopback."""
    log_level: str = "INFO"

    @cached_property
    def reservation_expiry(self) -> timedelta:
        return timedelta(seconds=self.reservation_expires_in_s)

    def fee_account_for(self, currency: str) -> str:
        """The fee account of a currency; it opens with its first fee."""
        return self.fee_account.format(currency=currency)
