"""Who is in an allocator's memory and who waits: first come, first served, memory being the only limit.

The engine's own rules without its limits on batch and step: those that run write what they have, in the order
in which they came; when that does not fit, the newest gives its memory back and waits at the front, to be
computed again; if nobody had to, those who wait are let in, in order, until one does not fit. Refused is whom an
empty pool does not suit, and what is longer than the model allows. Where tokens come from, and when a request
ends, the caller says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pagedviz.lab.holdings import Holding, Occupancy, WasteSplit, split
from pagedviz.lab.rivals import Rival
from pagedviz.lab.workloads import Request

NOTHING = Holding(0, 0)


@dataclass(eq=False, slots=True)
class Tenant:
    """A request that is served or waits.

    Attributes:
        known: tokens that it has, the prompt's among them.
        written: how many of them have their K and V in memory.
        holding: what the allocator gave it.
    """

    key: int
    request: Request
    known: int
    written: int = 0
    holding: Holding = NOTHING


class Server:
    """One allocator, its queue, and the requests in its memory.

    Attributes:
        waiting: the queue, in the order in which requests come to their turn.
        held: those in memory, in the order in which they came.
        preemptions: how often one had to give its memory back before its end.
        refused: how many cannot be served at all.
    """

    def __init__(self, rival: Rival, max_model_len: int) -> None:
        self.rival = rival
        self.max_model_len = max_model_len
        self.waiting: deque[Tenant] = deque()
        self.held: list[Tenant] = []
        self.preemptions = 0
        self.refused = 0
        self._tenants: dict[int, Tenant] = {}

    def add(self, key: int, request: Request, known: int | None = None) -> None:
        """Put a request at the end of the queue; it has its prompt, or ``known`` tokens."""
        if request.slots > self.max_model_len:
            self.refused += 1
            return
        tenant = Tenant(key, request, request.input_length if known is None else known)
        self._tenants[key] = tenant
        self.waiting.append(tenant)

    def grow(self, key: int, known: int) -> None:
        """The request has so many tokens now. Who was refused is not listened to."""
        if key in self._tenants:
            self._tenants[key].known = known

    def end(self, key: int) -> None:
        """The request has ended, in memory or in the queue."""
        tenant = self._tenants.pop(key, None)
        if tenant in self.held:
            self.rival.release(key)
            self.held.remove(tenant)
        elif tenant is not None:
            self.waiting.remove(tenant)

    def step(self) -> None:
        """Write what is known of those in memory, and let in who fits."""
        before = self.preemptions
        turn = 0
        while turn < len(self.held):
            tenant = self.held[turn]
            if tenant.written == tenant.known or self._write(tenant):
                turn += 1
            else:
                self._preempt(self.held.pop())
        while self.waiting and self.preemptions == before:
            if self._write(self.waiting[0]):
                self.held.append(self.waiting.popleft())
            elif self.held:
                break
            else:
                self.refused += 1
                del self._tenants[self.waiting.popleft().key]

    def _write(self, tenant: Tenant) -> bool:
        if not self.rival.can_write(tenant.key, tenant.request, tenant.known):
            return False
        tenant.holding = self.rival.write(tenant.key, tenant.request, tenant.known)
        tenant.written = tenant.known
        return True

    def _preempt(self, tenant: Tenant) -> None:
        self.rival.release(tenant.key)
        tenant.written, tenant.holding = 0, NOTHING
        self.waiting.appendleft(tenant)
        self.preemptions += 1

    def split(self) -> WasteSplit:
        """What every slot is for now."""
        rival = self.rival
        useful = True
        if self.waiting:
            head = self.waiting[0]
            useful = rival.can_write(head.key, head.request, head.known)
        held = (Occupancy(tenant.written, tenant.request.slots, tenant.holding) for tenant in self.held)
        return split(rival.num_slots, rival.num_free, held, useful=useful)
