"""DBOS: a workflow of four steps with one insert each, 16 threads: `python -m benchmarks.peers.dbos_steps URL`.

`steps` keeps each insert in a transaction of its own and lets DBOS record the step beside it, as `@DBOS.step`
does. `transactions` uses DBOS' datasource, which records the step in the insert's own transaction (READ COMMITTED,
all that an insert needs; its default is SERIALIZABLE). Here that was the slower one (33 a second against 56 in the
same rounds, with 31 and 19 ms of CPU), so the benchmark takes `steps`.
"""

from __future__ import annotations

import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID, SQLAlchemyDatasource

from benchmarks.peers.serving import serve

TABLE = "CREATE TABLE IF NOT EXISTS steps (payment text, step text, amount bigint, PRIMARY KEY (payment, step))"
INSERT = sa.text(
    "INSERT INTO steps (payment, step, amount) VALUES (:payment, :step, :amount) ON CONFLICT DO NOTHING"
)
NAMES = ("initiate", "authorize", "capture", "notify")
THREADS = 16


def main(url: str) -> None:
    """Serves until its standard input ends."""
    url = url.replace("postgresql://", "postgresql+psycopg://")
    config: DBOSConfig = {
        "name": "peer",
        "system_database_url": url,
        "sys_db_pool_size": THREADS + 4,
        "log_level": "WARNING",
        "enable_otlp": False,
        "application_version": "benchmark",
    }
    DBOS(config=config)
    engine = sa.create_engine(url, pool_size=THREADS, pool_pre_ping=False)
    with engine.begin() as connection:
        connection.execute(sa.text(TABLE))
    source = SQLAlchemyDatasource.create(url, engine=engine)

    @DBOS.step()
    def insert_step(payment: str, step: str, amount: int) -> str:
        with engine.begin() as connection:
            connection.execute(INSERT, {"payment": payment, "step": step, "amount": amount})
        return f"{payment}:{step}"

    @source.transaction(isolation_level="READ COMMITTED")
    def insert_transaction(payment: str, step: str, amount: int) -> str:
        source.sql_session().execute(INSERT, {"payment": payment, "step": step, "amount": amount})
        return f"{payment}:{step}"

    @DBOS.workflow()
    def by_steps(payment: str, amount: int) -> str:
        for name in NAMES:
            insert_step(payment, name, amount)
        return "completed"

    @DBOS.workflow()
    def by_transactions(payment: str, amount: int) -> str:
        for name in NAMES:
            insert_transaction(payment, name, amount)
        return "completed"

    DBOS.launch()
    with ThreadPoolExecutor(THREADS) as threads:

        def payments(n: int, way: str) -> dict[str, Any]:
            run, workflow = uuid.uuid4().hex[:8], {"steps": by_steps, "transactions": by_transactions}[way]

            def one(number: int) -> None:
                payment = f"{run}-{number}"
                with SetWorkflowID(payment):
                    assert workflow(payment, 1250) == "completed"

            started = time.perf_counter()
            list(threads.map(one, range(n)))
            return {"seconds": time.perf_counter() - started, "done": n}

        serve(payments=payments)
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
