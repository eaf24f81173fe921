"""One simulated run: what clients ask for, what goes wrong meanwhile, and that everything ends well.

Every client's wish and every fault is an element with a name. Shrinking runs a story with only some of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from activities.fraud_steps import AssignWish, DecideWish, EscalateWish, NoteWish
from activities.steps import (
    DisputeDecision,
    ResolveWish,
    ReviewWish,
)
from domain.fraud_case import FraudCase
from domain.payment import Payment, PaymentStatus
from domain.streams import fraud_case_stream, id_of
from domain.transfer import Transfer, TransferStatus
from tests.simulation.chance import Chance
from tests.simulation.invariants import check_the_end, still_open
from tests.simulation.loop import Process, new_loop
from tests.simulation.opening import begun, opened
from tests.simulation.wishes import Clients
from tests.simulation.world import World, clocks

HORIZON_S = 5.0
"""Within so many seconds everything is asked for, and everything goes wrong."""
PATIENCE_S = 300.0
"""Once nothing goes wrong any more, everything ends within so many seconds."""


@dataclass(frozen=True)
class Told:
    """How a run went. `error` is None where every promise was kept; `elements` are those that took part."""

    seed: int
    error: BaseException | None
    elements: list[str]
    trace: list[str]


def run(seed: int, kept: frozenset[str] | None = None) -> Told:
    """The run of a seed, or of what is kept of it. Deterministic."""
    opened()  # before any loop runs
    loop, chance = new_loop(), Chance(seed, kept)
    world = begun(loop, chance)
    error: BaseException | None = None
    with clocks(loop, seed, world):
        try:
            loop.run(Story(world).tell())
        except Exception as failure:
            error = failure
        finally:
            for worker in world.temporal.workers:
                worker.forget_all()
    return Told(seed, error, chance.met, world.trace)


def first_failing(seeds: range) -> int | None:
    """The first of these seeds whose story breaks a promise."""
    return next((seed for seed in seeds if run(seed).error is not None), None)


class Story:
    """What happens in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        self._clients = Clients(world, HORIZON_S)

    async def tell(self) -> None:
        """From the first account to the last check."""
        world, loop = self._world, self._world.loop
        for _ in range(2):
            world.start_worker()
            world.start_projector()
        clients = self._clients
        wishes = range(self._chance.number("wishes", 3, 9))
        last = [loop.spawn(clients.process, clients.wish(number), f"wish {number}") for number in wishes]
        for number in range(self._chance.number("faults", 0, 4)):
            loop.call_later(self._chance.between("fault at", 0.0, HORIZON_S), self._fault, number)
        await asyncio.sleep(HORIZON_S * 2)
        world.calm()
        await asyncio.wait(last)
        await self._bring_to_an_end()
        check_the_end(world)

    # --- what goes wrong ------------------------------------------------------------

    def _fault(self, number: int) -> None:
        kind = self._chance.one_of(f"fault {number}", _FAULTS)
        if self._chance.happens(f"fault {number}: {kind}"):
            self._world.tell(f"fault {number}: {kind}")
            getattr(self, f"_fault_{kind}")(number)

    def _fault_worker_dies(self, number: int) -> None:
        alive = [worker for worker in self._world.temporal.workers if worker.process.alive]
        self._world.kill(self._chance.one_of(f"dead {number}", alive).process)
        self._world.start_worker()

    def _fault_projector_dies(self, number: int) -> None:
        alive = [process for process in self._world.projectors if process.alive]
        self._world.kill(self._chance.one_of(f"dead {number}", alive))
        self._world.start_projector()

    def _fault_worker_stops(self, number: int) -> None:
        alive = [worker.process for worker in self._world.temporal.workers if worker.process.alive]
        self._stop(number, self._chance.one_of(f"stopped {number}", alive))

    def _fault_projector_stops(self, number: int) -> None:
        alive = [process for process in self._world.projectors if process.alive]
        self._stop(number, self._chance.one_of(f"stopped {number}", alive))

    def _stop(self, number: int, process: Process) -> None:
        self._world.tell(f"{process} stopped")
        self._world.loop.freeze(process)
        seconds = self._chance.between(f"stopped for {number}", 0.1, 25.0)
        self._world.loop.call_later(seconds, self._world.loop.resume, process)

    def _fault_outage(self, number: int) -> None:
        now = self._world.loop.time()
        self._world.postgres.outages.append((now, now + self._chance.between(f"away {number}", 0.2, 7.0)))

    def _fault_crash(self, number: int) -> None:
        self._fault_outage(number)
        self._world.views.crash()

    # --- the end ------------------------------------------------------------

    async def _bring_to_an_end(self) -> None:
        """As operators would: repair what nobody drives on, decide what waits for a decision."""
        world = self._world
        for round_ in range(int(PATIENCE_S / 5)):
            going = still_open(world)
            running = [name for name, execution in world.temporal.executions.items() if execution.closed is None]
            behind = world.log.unsequenced or any(
                build.position < len(world.log.numbered) for build in world.views.builds.values()
            )
            if not going and not running and not behind:
                return
            for stream in going:
                self._decide(stream, round_)
            await asyncio.sleep(5.0)
        raise AssertionError(f"no end after {PATIENCE_S:g} s: {still_open(world)}, running: {running}")

    def _decide(self, stream: str, round_: int) -> None:
        world, state = self._world, self._world.auditor.books.states[stream]
        wish_id = f"end-{round_}"
        if isinstance(state, Payment) and state.status is PaymentStatus.DISPUTED:
            outcome = self._chance.one_of(f"dispute of {stream}", ("won", "lost"))
            decision = DisputeDecision(wish_id=wish_id, outcome=outcome if round_ < 20 else "won")
            workflow_id = f"dispute-{id_of(stream)}"
            if world.temporal.running(workflow_id) is None:
                world.repair(workflow_id)
            world.temporal.update(workflow_id, "request_resolution", decision)
            return
        if world.temporal.running(stream) is None:
            world.repair(stream)
            return
        if isinstance(state, FraudCase):
            self._decide_case(stream, round_)
        elif state.status in (PaymentStatus.IN_REVIEW, TransferStatus.IN_REVIEW):
            approve = self._chance.fraction(f"review of {stream}") < 0.6 and round_ < 20
            if round_ < 3 and fraud_case_stream(stream) in world.auditor.books.states:
                return  # its case decides
            world.temporal.update(stream, "request_review", ReviewWish(wish_id=wish_id, approve=approve))
        elif isinstance(state, Transfer) and state.status is TransferStatus.STUCK:
            home = "home" if state.currency == "EUR" else "homeUSD"
            action = "retry" if round_ % 2 else "return"
            to = home if action == "return" else None
            resolve = ResolveWish(wish_id=wish_id, action=action, to_account=to)
            world.temporal.update(stream, "request_resolution", resolve)

    def _decide_case(self, stream: str, round_: int) -> None:
        """An analyst looks into it, then says yes or no; a few never come to it before the reviewer does."""
        chance, temporal = self._chance, self._world.temporal
        if round_ == 0:
            if chance.fraction(f"analyst of {stream}") < 0.5:
                temporal.update(stream, "request_assignment", AssignWish(wish_id="a", analyst="ana"))
                temporal.update(stream, "request_note", NoteWish(wish_id="n", note="looks odd"))
            if chance.fraction(f"escalated {stream}") < 0.3:
                temporal.update(stream, "request_escalation", EscalateWish(wish_id="e", reason="not sure"))
        elif round_ > 1 or chance.fraction(f"early {stream}") < 0.7:
            fraction = chance.fraction(f"decision of {stream}")
            decision = DecideWish(wish_id=f"end-{round_}", approve=fraction < 0.5, freeze=fraction > 0.8)
            temporal.update(stream, "request_decision", decision)


_FAULTS = (
    "worker_dies", "projector_dies", "worker_stops", "projector_stops", "outage", "crash",
)  # fmt: skip
