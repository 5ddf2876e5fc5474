"""Eviction policies, slow and plain, and a prefix cache in small that compares a policy with them.

The plain ones are lists, scans and sorts. They are told which victims were taken, and choose none themselves.
"""

import math
from collections import deque

from pagedviz.memory.eviction import POLICIES, CachedBlock
from pagedviz.memory.eviction.cost import EVEN_DEPTH
from pagedviz.memory.eviction.slru import PROTECTED


class Plain:
    """Candidates in the order in which they were added; ``order`` sorts them."""

    def __init__(self, capacity, future):
        self.capacity, self.future = capacity, future
        self.candidates = []

    def add(self, block):
        self.candidates.append(block)

    def remove(self, block, evicted):
        self.candidates.remove(block)

    def order(self):
        return self.candidates

    def agrees(self, chosen):
        return chosen == [block.block for block in self.order()[: len(chosen)]]


class PlainMRU(Plain):
    def order(self):
        return self.candidates[::-1]


class PlainFIFO(Plain):
    def order(self):
        return sorted(self.candidates, key=lambda block: block.serial)


class PlainLFU(Plain):
    def order(self):
        return sorted(self.candidates, key=lambda block: block.hits)


class PlainRandom(Plain):
    def agrees(self, chosen):
        return True


class PlainBelady(Plain):
    def agrees(self, chosen):
        uses = [self.future(block.key) for block in self.candidates]
        key_of = {block.block: block.key for block in self.candidates}
        return [self.future(key_of[block]) for block in chosen] == sorted(uses, reverse=True)[: len(chosen)]


class PlainCost(Plain):
    inflation = 0.0

    def add(self, block):
        super().add(block)
        block_cost = (1 + block.hits) * (1 + block.depth / EVEN_DEPTH)
        self.priority = {**getattr(self, "priority", {}), block.serial: self.inflation + block_cost}

    def remove(self, block, evicted):
        super().remove(block, evicted)
        if evicted:
            self.inflation = max(self.inflation, self.priority[block.serial])

    def order(self):
        return sorted(self.candidates, key=lambda block: self.priority[block.serial])


class PlainClock(Plain):
    """One list for the whole circle, blocks in use among the others, the hand at its front."""

    def __init__(self, *args):
        super().__init__(*args)
        self.circle, self.marked = [], set()

    def add(self, block):
        super().add(block)
        if block not in self.circle:
            self.circle.append(block)
        if block.hits > 0:
            self.marked.add(block)

    def remove(self, block, evicted):
        super().remove(block, evicted)
        self.marked.discard(block)
        if evicted:
            self.circle.remove(block)

    def agrees(self, chosen):
        mine = []
        while len(mine) < len(chosen):
            block = next(b for b in self.circle if b in self.candidates and b.block not in mine)
            if block in self.marked:
                self.marked.remove(block)
                self.circle.remove(block)
                self.circle.append(block)
            else:
                mine.append(block.block)
        return chosen == mine


class PlainSLRU(Plain):
    def add(self, block):
        super().add(block)
        self.segments = getattr(self, "segments", {})
        self.segments[block.serial] = "protected" if block.hits > 0 else "probation"
        protected = [b for b in self.candidates if self.segments[b.serial] == "protected"]
        if len(protected) > math.floor(self.capacity * PROTECTED):
            self.segments[protected[0].serial] = "probation"
            self.candidates.remove(protected[0])
            self.candidates.append(protected[0])

    def order(self):
        return sorted(self.candidates, key=lambda block: self.segments[block.serial] == "protected")


class PlainARC(Plain):
    """Chooses one victim after the other, on copies of T1 and T2."""

    p = 0

    def __init__(self, *args):
        super().__init__(*args)
        self.t1, self.t2, self.b1, self.b2 = [], [], [], []

    def add(self, block):
        key, b1, b2 = block.key, len(self.b1), len(self.b2)
        if key in self.b1:
            self.p = min(self.capacity, self.p + (1 if b1 >= b2 else b2 / b1))
        elif key in self.b2:
            self.p = max(0, self.p - (1 if b2 >= b1 else b1 / b2))
        again = block.hits > 0 or key in self.b1 + self.b2
        self.b1, self.b2 = [k for k in self.b1 if k != key], [k for k in self.b2 if k != key]
        (self.t2 if again else self.t1).append(block)
        if len(self.t1 + self.b1) > self.capacity:
            del self.b1[0]
        if len(self.t1 + self.t2 + self.b1 + self.b2) > 2 * self.capacity:
            del self.b2[0]

    def remove(self, block, evicted):
        for blocks, ghosts in ((self.t1, self.b1), (self.t2, self.b2)):
            if block in blocks:
                blocks.remove(block)
                ghosts.extend([block.key] * evicted)

    def agrees(self, chosen):
        t1, t2 = list(self.t1), list(self.t2)
        return all((t1 if t1 and (len(t1) > self.p or not t2) else t2).pop(0).block == block for block in chosen)


MODELS = {
    "arc": PlainARC,
    "belady": PlainBelady,
    "clock": PlainClock,
    "cost": PlainCost,
    "fifo": PlainFIFO,
    "lfu": PlainLFU,
    "lru": Plain,
    "mru": PlainMRU,
    "random": PlainRandom,
    "slru": PlainSLRU,
}


DROP, PASS = -2, -1


class Cache:
    """A prefix cache in small: requests hold blocks for some steps, and find again what is still there.

    ``requests`` are (keys, for how many more steps they are held). One that finds no room gives up. With DROP
    instead, idle blocks of these keys are evicted by command or move away; with PASS nobody takes what is there.
    """

    def __init__(self, name, capacity, requests, seed=0, model=None):
        self.now, self.requests = 0, requests
        self.uses = {}
        for step, (keys, _) in enumerate(requests):
            for key in keys:
                self.uses.setdefault(self.key(key), deque()).append(step)
        more = {} if POLICIES[name].live else {"next_use": self.next_use}
        self.policy = POLICIES[name](capacity, seed, **more)
        self.model = model and model(capacity, self.next_use)
        self.free, self.cached, self.owners = list(range(capacity)), {}, {}
        self.leaving, self.serial = {}, 0
        self.misses, self.evicted = 0, []

    @staticmethod
    def key(number):
        return (number % 2, f"{number:04x}")

    def next_use(self, key):
        while self.uses[key] and self.uses[key][0] <= self.now:
            self.uses[key].popleft()
        return self.uses[key][0] if self.uses[key] else math.inf

    def idle(self):
        return [block for block in self.cached.values() if not self.owners[block.block]]

    def tell(self, what, *args):
        getattr(self.policy, what)(*args)
        if self.model:
            getattr(self.model, what)(*args)

    def choose(self, count):
        chosen = list(self.policy.victims(count))
        idle = {block.block: block for block in self.idle()}
        assert len(chosen) == len(set(chosen)) == count
        assert set(chosen) <= set(idle)
        if self.model:
            assert self.model.agrees(chosen)
        return [idle[block] for block in chosen]

    def evict(self, count):
        for block in self.choose(count):
            reason = self.policy.explain(block.block)
            idle = len(self.idle())
            assert reason.endswith(f"of {idle} candidate{'' if idle == 1 else 's'}")
            self.forget(block, evicted=True)
            self.evicted.append(block.key)

    def forget(self, block, *, evicted):
        self.tell("remove", block, evicted)
        self.free.append(block.block)
        del self.cached[block.key], self.owners[block.block]

    def hold(self, key):
        block = self.cached.get(self.key(key))
        if block:
            block.hits += 1
            if not self.owners[block.block]:
                self.tell("remove", block, False)
        else:
            self.serial, self.misses = self.serial + 1, self.misses + 1
            block = CachedBlock(self.free.pop(), self.key(key), 160 * (key % 7), self.serial, self.now)
            self.cached[block.key], self.owners[block.block] = block, 0
        self.owners[block.block] += 1
        return block

    def release(self, block):
        self.owners[block.block] -= 1
        if not self.owners[block.block]:
            block.used = self.now
            self.tell("add", block)

    def take(self, keys):
        found = [key for key in keys if self.key(key) in self.cached]
        blocks = [self.hold(key) for key in found]
        missing = len(keys) - len(found)
        if len(self.free) + len(self.idle()) < missing:
            self.choose(len(self.idle()))
            return blocks
        if missing > len(self.free):
            self.evict(missing - len(self.free))
        return blocks + [self.hold(key) for key in keys if key not in found]

    def drop(self, keys):
        names = {self.key(key) for key in keys}
        for block in self.idle():
            if block.key in names:
                self.forget(block, evicted=block.serial % 3 > 0)

    def run(self):
        for step, (keys, held) in enumerate(self.requests):
            self.now = step
            if held == DROP:
                self.drop(keys)
            elif held != PASS:
                self.leaving.setdefault(step + held, []).extend(reversed(self.take(keys)))
            for block in self.leaving.pop(step, []):
                self.release(block)
        return self
