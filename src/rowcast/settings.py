"""Settings: the environment, parsed once, frozen. ``docs/reference/settings.md`` lists them; a test keeps it so."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be set, each as ``ROWCAST_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="ROWCAST_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("rowcast-data"), description="Folder of the embedded database and files.")
    database_url: str = Field(
        default="", description="SQLAlchemy address of the database; empty means SQLite in the data folder."
    )
    database_pool_size: int = Field(
        default=10, ge=2, le=1000, description="Most connections of one process to PostgreSQL."
    )
    database_timeout_seconds: float = Field(
        default=60, gt=0, description="Longest time one statement may take on PostgreSQL."
    )
    database_lock_seconds: float = Field(
        default=30,
        gt=0,
        description="How long is waited for another writer, or for a free connection, before giving up.",
    )
    database_connect_seconds: float = Field(
        default=5, gt=0, description="How long is waited for PostgreSQL to take a connection."
    )
    storage_url: str = Field(
        default="", description="Where tables and bundles are kept; empty means a folder in the data folder."
    )
    broker_url: str = Field(
        default="local://",
        description="What tells workers of new tasks: local:// is this process, amqp:// and amqps:// are RabbitMQ.",
        repr=False,
    )
    compute_url: str = Field(default="local://", description="What trainings run on; local:// is child processes here.")
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port of REST and the dashboard; 0 picks a free one.")
    processes: int = Field(
        default=1, ge=1, le=64, description="Processes that answer calls, each with the models in its own memory."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Heavy jobs (imports, trainings) run at the same time.")
    threads: int = Field(
        default=0, ge=0, le=1024, description="Processor threads of one heavy job; 0 shares the cores among workers."
    )
    max_upload_bytes: int = Field(default=20 * 2**30, ge=1, description="Largest table that may be uploaded, in bytes.")
    max_body_bytes: int = Field(default=64 * 2**20, ge=1, description="Largest other request body, in bytes.")
    max_rows_per_call: int = Field(default=100_000, ge=1, description="Most rows in one prediction call.")
    max_columns: int = Field(default=5_000, ge=1, description="Most columns of a table.")
    max_cell_bytes: int = Field(
        default=1 * 2**20, ge=1, description="Longest cell, and a hundredth of the longest line."
    )
    job_memory_bytes: int = Field(
        default=0, ge=0, description="Address-space limit of one heavy job, in bytes; 0 sets none."
    )
    ingest_timeout_seconds: float = Field(default=1800, gt=0, description="Longest time one import may take.")
    training_timeout_seconds: float = Field(default=86_400, gt=0, description="Longest time one training may take.")
    file_timeout_seconds: float = Field(
        default=86_400, gt=0, description="Longest time the predictions for one file may take."
    )
    file_days: float = Field(
        default=7, ge=0, description="Days that a file with predictions can be downloaded; 0 keeps it for ever."
    )
    lease_seconds: float = Field(
        default=30, gt=0, description="How long a silent worker keeps a task before another may take it."
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        description="How long what runs may go on when the process is asked to end; then tasks are handed back.",
    )
    max_attempts: int = Field(default=3, ge=1, description="How often a task is started before it fails for good.")
    max_queued_tasks: int = Field(
        default=10_000, ge=1, description="Most tasks of one user that wait for a worker; who has more is sent away."
    )
    task_days: float = Field(
        default=90,
        ge=0,
        description="Days that tasks are kept with their results once they ended; 0 keeps them for ever.",
    )
    max_loaded_models: int = Field(
        default=64, ge=1, description="Model versions kept in memory; the least used go first."
    )
    receipt_days: float = Field(
        default=365, ge=0, description="Days that the receipts of predictions are kept; 0 keeps them for ever."
    )
    receipt_inputs: bool = Field(
        default=True, description="Whether receipts keep the rows that were sent; without them no replay is possible."
    )
    receipt_redact: str = Field(
        default="", description="Fields that receipts never keep, separated by commas; their calls cannot be replayed."
    )
    api_key: str = Field(
        default="", description="Key of the first administrator; empty means a random one, printed once.", repr=False
    )
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level logged.")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def alone(self) -> bool:
        """Whether no other server can work on the same: its database is a file, in a folder that one server holds."""
        return self.resolved_database_url.startswith("sqlite")

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'rowcast.db'}"

    @property
    def resolved_storage_url(self) -> str:
        return self.storage_url or (self.data_dir / "storage").as_uri()

    @property
    def job_threads(self) -> int:
        """Threads of one heavy job: as set, else the cores shared among the workers."""
        return self.threads or max(1, len(os.sched_getaffinity(0)) // self.workers)
