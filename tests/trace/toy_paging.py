"""A toy whose tables have holes and lie in both tiers: events about single pages, drawn from one seed.

It knows no request's memory as a whole, as ``toy_memory`` does: any entry may be given back before later ones, be
given a block again, in either tier, or move alone; a table may begin behind entries that nobody told of.
"""

from __future__ import annotations

import random

from pagedviz.events import (
    AnyEvent,
    Batch,
    BlockAllocated,
    BlockCached,
    BlockEvicted,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    PrefixHit,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceFinished,
    StepFinished,
    StepStarted,
    SwappedIn,
    SwappedOut,
    TokenAppended,
)

SIZES = {"device": 20, "host": 12}
_OTHER = {"device": "host", "host": "device"}

Entry = tuple[str, int]
Place = tuple[int, int, int]
"""(sequence, group, logical)."""


class PagingToy:
    """Its plain model: ``tables`` has the entries that are there, ``names`` the content of full blocks."""

    def __init__(self, seed: int, *, block_size: int = 4, groups: int = 2) -> None:
        self.random = random.Random(seed)
        self.block_size, self.groups = block_size, groups
        self.num_blocks, self.num_host = SIZES["device"], SIZES["host"]
        self.free = {tier: list(range(size)) for tier, size in SIZES.items()}
        self.tables: dict[Place, Entry] = {}
        self.holders: dict[Entry, list[Place]] = {}
        self.names: dict[Entry, str] = {}
        self.cached: dict[Entry, int] = {}
        self.tokens: dict[int, int] = {}
        self.computed: dict[int, int] = {}
        self.running: list[int] = []
        self.swapped: list[int] = []
        self.events: list[AnyEvent] = []
        self.batches: list[Batch] = []
        self.seq = self.step = 0

    # -- single pages ------------------------------------------------------------------------------------------

    def allocate(self, place: Place, tier: str) -> Entry | None:
        """A free block becomes this entry; None if there is none."""
        if not self.free[tier]:
            return None
        entry = (tier, self.free[tier].pop(self.random.randrange(len(self.free[tier]))))
        sequence, group, logical = place
        self.emit(BlockAllocated(tier, group, entry[1], sequence, logical, "prefill"))
        self.holders[entry] = [place]
        self.tables[place] = entry
        return entry

    def share(self, place: Place) -> None:
        """An entry, perhaps far behind the table's end, becomes a block that somebody has, or that is cached."""
        sequence, group, logical = place
        same = [e for e, holders in self.holders.items() if holders and holders[0][1:] == (group, logical)]
        same += [e for e in self.cached if self.names[e] == f"{group:02x}{logical:02x}"]
        entry = self.random.choice(same) if same else None
        if entry is None or any(holder[0] == sequence for holder in self.holders.get(entry, ())):
            return
        self.cached.pop(entry, None)
        holders = self.holders.setdefault(entry, [])
        holders.append(place)
        self.tables[place] = entry
        self.emit(BlockShared(*self._named(entry, place), len(holders)))

    def release(self, place: Place, entry: Entry | None = None) -> None:
        """Give an entry back: it is absent from now on, unless it names another block already."""
        entry = entry or self.tables.pop(place)
        self.holders[entry].remove(place)
        left = len(self.holders[entry])
        self.emit(BlockReleased(*self._named(entry, place), left))
        if left:
            return
        del self.holders[entry]
        if entry in self.names and self.random.random() < 0.6:
            self.cached[entry] = self.step
            self.emit(BlockCached(entry[0], place[1], entry[1], self.names[entry]))
        else:
            self.names.pop(entry, None)
            self.free[entry[0]].append(entry[1])
            self.emit(BlockFreed(entry[0], place[1], entry[1]))

    def move(self, place: Place) -> None:
        """One page goes to the other tier, and its sequence goes on."""
        before = self.tables[place]
        after = self.allocate(place, _OTHER[before[0]])
        if after is None:
            return
        kind = SwappedOut if before[0] == "device" else SwappedIn
        self.emit(kind("", ((before[1], after[1]),), 64, 5))
        if before in self.names:
            self.names[after] = self.names[before]
        self.release(place, before)

    def evict(self) -> None:
        entry = self.random.choice(list(self.cached))
        name, since = self.names.pop(entry), self.cached.pop(entry)
        self.free[entry[0]].append(entry[1])
        self.emit(BlockEvicted(entry[0], int(name[:2], 16), entry[1], name, "lru", "oldest", self.step - since))

    def _named(self, entry: Entry, place: Place) -> tuple[str, int, int, int, int]:
        return entry[0], place[1], entry[1], place[0], place[2]

    # -- steps -------------------------------------------------------------------------------------------------

    def add(self) -> None:
        """A request; what is found of it may be its last pages only."""
        number = len(self.tokens)
        self.tokens[number], self.computed[number] = self.random.randint(1, 6 * self.block_size), 0
        self.emit(RequestAdded(f"r{number}", (number,), tuple(range(self.tokens[number])), (), 9))
        self.emit(RequestScheduled(f"r{number}", False))
        self.running.append(number)
        found = (self.tokens[number] - 1) // self.block_size
        for group in range(self.groups):
            for logical in sorted(self.random.sample(range(found), self.random.randint(0, found))):
                self.share((number, group, logical))
        self.emit(PrefixHit(f"r{number}", number, found, found * self.block_size, 0, False))
        self.computed[number] = found * self.block_size

    def take_step(self) -> None:
        self.step += 1
        if self.random.random() < 0.5:
            self.add()
        plan = []
        for number in self.running:
            start = self.computed[number]
            count = self.random.randint(1, self.tokens[number] - start)
            for group in range(self.groups):
                for logical in range(start // self.block_size, -(-(start + count) // self.block_size)):
                    if (number, group, logical) not in self.tables:
                        self.allocate((number, group, logical), self.random.choice(("device", "host")))
            plan.append((number, start, count))
        self.emit(StepStarted(tuple(plan)))
        self.emit(StepFinished(100, sum(count for *_, count in plan), 0))
        for number, start, count in plan:
            self.computed[number] = start + count
            self.fill(number, start)
            if start + count == self.tokens[number]:
                self.emit(TokenAppended(number, self.tokens[number], 7, "x"))
                self.tokens[number] += 1
        for _ in range(self.random.randint(0, 6)):
            self.page()
        if self.running and self.random.random() < 0.2:
            self.end(self.running.pop(self.random.randrange(len(self.running))))
        if self.running and self.random.random() < 0.15:
            number = self.running.pop()
            self.emit(RequestPreempted(f"r{number}", "swap", "no room", 0, 0))
            self.swapped.append(number)
        elif self.swapped and self.random.random() < 0.5:
            number = self.swapped.pop()
            self.emit(RequestScheduled(f"r{number}", True))
            self.running.append(number)
        self.publish()

    def fill(self, number: int, start: int) -> None:
        for (sequence, group, logical), entry in list(self.tables.items()):
            if sequence == number and start <= (logical + 1) * self.block_size - 1 < self.computed[number]:
                self.names[entry] = f"{group:02x}{logical:02x}"
                self.emit(BlockFilled(*self._named(entry, (number, group, logical)), self.names[entry]))

    def page(self) -> None:
        """Something happens to one page of somebody, or to one that nobody has."""
        if self.cached and self.random.random() < 0.2:
            self.evict()
        elif self.tables:
            place = self.random.choice(list(self.tables))
            self.random.choice((self.move, self.release))(place)

    def end(self, number: int) -> None:
        self.emit(SequenceFinished(f"r{number}", number, "stop"))
        own = [place for place in self.tables if place[0] == number]
        for place in self.random.sample(own, len(own)):
            self.release(place)
        self.emit(RequestFinished(f"r{number}", "stop"))

    def emit(self, event: AnyEvent) -> None:
        self.events.append(event)

    def publish(self) -> None:
        if self.events:
            self.batches.append(Batch(self.seq, self.step, 1000 * self.step, tuple(self.events)))
            self.seq += len(self.events)
            self.events.clear()
