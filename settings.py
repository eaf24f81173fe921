"""All configuration, from the environment (prefix TIDEMARK_, nested with __) and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cached_property

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.screening import ScreeningLimits


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
    max_concurrent_workflow_tasks: int = Field(default=100, ge=2)

    fee_rate: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    fee_account: str = "fees-{currency}"
    payment_expires_in_s: int = Field(default=7 * 24 * 3600, ge=1)
    reservation_expires_in_s: int = Field(default=3600, ge=1)
    screening: ScreeningLimits = ScreeningLimits()

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
