"""What the nemesis can do, one function per kind of fault. Each does it, keeps it up as long as told, and heals
it, also when it is interrupted. It returns a word about what it did, or raises `Skipped` with the reason.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client as Temporal
from temporalio.service import RPCError, RPCStatusCode

from activities.ledger import utc_now
from commands.accounts import AccountCommands
from domain.account_messages import AccountOpened
from domain.catalogue import encode
from domain.money import Money
from eventstore.events import AppendRequest, NewEvent, StreamWrite
from projections.catalogue import VIEWS
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.live import LiveChecker
from tests.chaos.cluster import GATES, Cluster, send
from tests.chaos.history import History
from tests.chaos.schedule import Episode
from tests.fixtures.processes import ROOT
from wiring import Books

COMMAND_LIMIT_S = 240.0
REBUILD_TRIES = 10
NOT_NOW = (psycopg.Error, RPCError, OSError, TimeoutError, RuntimeError)
"""What a fault meets while another one is on."""


class Skipped(Exception):
    """This fault could not be done here or now; the message says why."""


@dataclass
class Field:
    """What the faults work on."""

    cluster: Cluster
    books: Books
    temporal: Temporal
    history: History
    live: LiveChecker
    findings: Findings
    poisoned: set[str]
    to_rebuild: set[str] = field(default_factory=set)
    """Views whose checkpoint was tampered with and that nobody has rebuilt yet."""

    async def sql(self, statement: LiteralString, parameters: Any = None, url: str | None = None) -> list[Any]:
        """As superuser unless another URL is given, past the proxy."""
        where = url or self.cluster.info.admin_database
        async with await psycopg.AsyncConnection.connect(where, autocommit=True, connect_timeout=5) as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def command(self, *words: str) -> tuple[int, str]:
        """`starter.py WORDS`, as an operator types it: its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "starter.py"),
            *words,
            *("--data", str(self.cluster.data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), COMMAND_LIMIT_S)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, out.decode(errors="replace")


Act = Callable[[Field, Episode], Awaitable[str]]


async def kill(field: Field, episode: Episode) -> str:
    """SIGKILL; the supervisor starts it again."""
    victims = field.cluster.one_or_all(episode.target, episode.dice)
    return f"{send(victims[:1] if episode.target == 'postgres' else victims, signal.SIGKILL)} processes"


async def pause(field: Field, episode: Episode) -> str:
    """SIGSTOP, and SIGCONT past everybody's patience. Every other time its connections are ended meanwhile, so
    that its place is taken and it wakes up as a zombie.
    """
    victims = field.cluster.one_or_all(episode.target, episode.dice)
    taken = 0
    try:
        send(victims, signal.SIGSTOP)
        await asyncio.sleep(episode.lasts_s / 2)
        if episode.dice & 64 and episode.target in ("worker", "projector", "api"):
            with suppress(*NOT_NOW):
                taken = await _end_backends(field, f"tidemark-{episode.target}%", 1.0)
        await asyncio.sleep(episode.lasts_s / 2)
    finally:
        send(list(reversed(victims)), signal.SIGCONT)
    return f"{len(victims)} processes" + (f", {taken} connections ended meanwhile" if taken else "")


async def cut(field: Field, episode: Episode) -> str:
    """Every connection of a link is reset, and new ones are for a while."""
    try:
        told = await field.cluster.proxy.set(episode.target, closed=episode.lasts_s > 0, cut=True)
        await asyncio.sleep(episode.lasts_s)
    finally:
        await field.cluster.proxy.set(episode.target)
    return f"{told.cut} connections"


async def stall(field: Field, episode: Episode) -> str:
    """Nothing comes through, and nobody is told."""
    try:
        await field.cluster.proxy.set(episode.target, stalled=True)
        await asyncio.sleep(episode.lasts_s)
    finally:
        await field.cluster.proxy.set(episode.target)
    return "nothing came through"


async def delay(field: Field, episode: Episode) -> str:
    """Every message takes longer."""
    delay_ms = 20 + episode.dice % 230
    try:
        await field.cluster.proxy.set(episode.target, delay_ms=delay_ms)
        await asyncio.sleep(episode.lasts_s)
    finally:
        await field.cluster.proxy.set(episode.target)
    return f"by {delay_ms} ms"


async def lost_commit(field: Field, episode: Episode) -> str:
    """The next few commits are done by Postgres, their answers swallowed, and the connections cut."""
    wanted = 1 + episode.dice % 5
    before = await field.cluster.proxy.set(episode.target, lose=wanted)
    try:
        await asyncio.sleep(episode.lasts_s)
    finally:
        after = await field.cluster.proxy.set(episode.target)
    return f"{after.lost - before.lost} of {wanted}"


async def lost_answer(field: Field, episode: Episode) -> str:
    """Temporal hears and does what it is told, but its answers are swallowed, and the connections cut then."""
    try:
        await field.cluster.proxy.set(episode.target, deaf=True)
        await asyncio.sleep(episode.lasts_s)
    finally:
        told = await field.cluster.proxy.set(episode.target, cut=True)
    return f"{told.cut} connections"


async def backends(field: Field, episode: Episode) -> str:
    """pg_terminate_backend of our connections."""
    return f"{await _end_backends(field, '%', 1.0 if episode.target == 'all' else 0.4)} connections"


async def _end_backends(field: Field, name: str, share: float) -> int:
    [(ended,)] = await field.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'tidemark%%'"
        " AND application_name LIKE %s AND random() < %s",
        (name, share),
    )
    return int(ended)


async def disk_full(field: Field, episode: Episode) -> str:
    """Not a page can be written any more: Postgres refuses, and may give up altogether."""
    disk = field.cluster.disk
    if disk is None:
        raise Skipped(field.cluster.no_disk)
    try:
        disk.fill()
        await asyncio.sleep(episode.lasts_s)
    finally:
        disk.free()
    return "full"


async def twice(field: Field, episode: Episode) -> str:
    """A step is committed and whoever did it is killed before it can say so: the step is given to another."""
    step = GATES[episode.dice % len(GATES)]
    gate = field.cluster.gate(episode.target, step)
    reached = gate.with_name(gate.name + ".reached")
    try:
        gate.unlink(missing_ok=True)
        reached.unlink(missing_ok=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(episode.lasts_s):
                while not reached.exists():
                    await asyncio.sleep(0.02)
        was_reached = reached.exists()
        send(field.cluster.processes(episode.target), signal.SIGKILL)
    finally:
        gate.touch()
    return f"{step} {'committed, not reported' if was_reached else 'not reached'}"


def _somebody(field: Field, episode: Episode) -> str:
    """A payment, transfer or order of late."""
    recent = [op for op in field.history if op.kind in ("payment", "transfer", "order")][-12:]
    if not recent:
        raise Skipped("nothing was begun yet")
    found = recent[episode.dice % len(recent)]
    return f"{found.kind}-{found.about}"


async def reset(field: Field, episode: Episode) -> str:
    """A workflow, running or over, is set back to its beginning: every step of it is done again."""
    workflow_id = _somebody(field, episode)
    client = field.temporal
    try:
        async with asyncio.timeout(10):
            run_id = (await client.get_workflow_handle(workflow_id).describe()).run_id
            first = 0
            async for event in client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    first = event.event_id
                    break
            if not first:
                raise Skipped("it has not begun")
            await client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    reason="chaos",
                    workflow_task_finish_event_id=first,
                    request_id=f"chaos-{episode.number}",
                )
            )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Skipped(f"{workflow_id} is not there yet") from error
        raise
    return workflow_id


async def terminate(field: Field, episode: Episode) -> str:
    """A workflow is terminated by hand, and an operator repairs what that left."""
    workflow_id = _somebody(field, episode)
    try:
        async with asyncio.timeout(10):
            await field.temporal.get_workflow_handle(workflow_id).terminate("chaos")
        ended = "terminated"
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        ended = "was over"
    code, _ = await field.command("repair", "--json")
    return f"{workflow_id} {ended}, repair {code}"


async def rewind(field: Field, episode: Episode) -> str:
    """A view's checkpoint is set back. The projector's role may not; a superuser with the triggers off can, and
    the view is rebuilt then by command.
    """
    view = sorted(VIEWS)[episode.dice % len(VIEWS)]
    back = {"view": view, "by": 1 + episode.dice % 50}
    try:
        await field.sql(_REWIND, back, field.cluster.info.projector_database)
        field.findings.add("checkpoint", view, "was set back by the projector's own role")
    except psycopg.errors.IntegrityError:
        pass
    field.live.mistrusted.add(view)
    field.to_rebuild.add(view)
    admin = field.cluster.info.admin_database
    await field.sql(_REWIND, back, f"{admin}?options=-c%20session_replication_role%3Dreplica")
    for tries in range(1, REBUILD_TRIES + 1):
        await asyncio.sleep(1)
        if await rebuild(field, view):
            return f"{view} by {back['by']}, rebuilt at try {tries}"
    return f"{view} by {back['by']}, not yet rebuilt"


_REWIND: Final = """
UPDATE projection.builds SET position = greatest(position - %(by)s, 0) WHERE view = %(view)s AND status = 'live'
"""


async def rebuild(field: Field, view: str) -> bool:
    """By the operator's command; from then on the view is trusted again."""
    code, _ = await field.command("rebuild", view, "--json")
    if code == 0:
        field.to_rebuild.discard(view)
        field.live.mistrusted.discard(view)
    return code == 0


async def poison(field: Field, episode: Episode) -> str:
    """An event that no view can take in (an account opened twice), and one behind it in its stream."""
    account = f"poison-{episode.number}"
    field.poisoned.add(account)
    accounts = AccountCommands(field.books.ledger, "chaos")
    await accounts.open(account, "user-poison", "EUR")
    store, stream = field.books.store, f"account-{account}"
    with suppress(TimeoutError):
        async with asyncio.timeout(5):  # in one batch with the first, the second would go unnoticed
            while not await field.sql("SELECT 1 FROM read.accounts WHERE account_id = %s", (account,)):
                await asyncio.sleep(0.1)
    [first] = await store.load(stream)
    again = AccountOpened(
        account_id=account, user_id="user-poison", currency="EUR", overdraft_limit=Money(0, "EUR")
    )
    write = StreamWrite(stream, first.version, first.hash, (NewEvent(*encode(again)),))
    await store.append([AppendRequest(f"{stream}:again", b"f" * 32, (write,), {"actor": "chaos"}, {}, utc_now())])
    await accounts.freeze(account, "behind", None)
    return account


async def long_transaction(field: Field, episode: Episode) -> str:
    """A transaction with an id and a snapshot of its own stays open."""
    admin = field.cluster.info.admin_database
    async with await psycopg.AsyncConnection.connect(admin, connect_timeout=5) as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.execute("SELECT pg_current_xact_id(), count(*) FROM streams")
        await asyncio.sleep(episode.lasts_s)
        await connection.rollback()
    return "open"


ACTS: dict[str, Act] = {
    "kill": kill,
    "pause": pause,
    "cut": cut,
    "stall": stall,
    "delay": delay,
    "backends": backends,
    "lost-commit": lost_commit,
    "lost-answer": lost_answer,
    "disk-full": disk_full,
    "twice": twice,
    "reset": reset,
    "terminate": terminate,
    "rewind": rewind,
    "poison": poison,
    "long-transaction": long_transaction,
}
__all__ = ["ACTS", "NOT_NOW", "Field", "Skipped", "rebuild"]
