"""Random but valid event streams: a toy engine that forks, copies on write, preempts and finishes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import ModuleType

from pagedviz.events import records as ev
from pagedviz.events.codec import EngineInfo, LayerGroup, decode_batch, encode_batch, encode_header, encode_keyframe

WORDS = [
    " the",
    " paged",
    " cache",
    "\n",
    " <img src=x onerror=alert(1)>",
    "🙂",
    "\u202e\u05de\u05d9\u05dd",
    "\t",
    " ",
    "é",
    "</b>",
    "\x07",
    " of",
]


def engine_info(
    num_blocks: int, block_size: int, *, groups: int = 1, model: str = "toy <b>model</b>"
) -> EngineInfo:
    """What the header says of the toy engine."""
    layers = tuple(LayerGroup((2 * g, 2 * g + 1), 64 if g else None) for g in range(groups))
    return EngineInfo(
        model, block_size, num_blocks, 0, layers, 3, 64, "bfloat16", "cpu", True, "cpu", 1 << 14, "0.1.0"
    )


class ToyEngine:
    """Keeps just enough of the tables to emit events that fit together."""

    def __init__(self, seed: int, num_blocks: int, block_size: int, *, groups: int = 1) -> None:
        self.random = random.Random(seed)
        self.size, self.groups = block_size, range(groups)
        self.free = {0: list(range(num_blocks))}
        self.tables: dict[int, dict[int, list[int]]] = {}
        self.holders: dict[int, list[tuple[int, int]]] = {}
        self.tokens: dict[int, int] = {}
        self.computed: dict[int, int] = {}
        self.running: dict[str, list[int]] = {}
        self.waiting: list[str] = []
        self.forking: dict[str, list[int]] = {}
        self.limits: dict[str, int] = {}
        self.prompts: dict[str, int] = {}
        self.next_sequence = 0
        self.out: list[ev.AnyEvent] = []

    def add(self, n: int = 1, prompt: int | None = None, max_tokens: int | None = None) -> None:
        """Queue a request."""
        length = prompt or self.random.randint(1, 4 * self.size + 1)
        name = f"r{len(self.limits)}"
        sequences = list(range(self.next_sequence, self.next_sequence + n))
        self.next_sequence += n
        texts = tuple(self.random.choice(WORDS) for _ in range(length)) if self.random.random() < 0.8 else ()
        self.limits[name] = max_tokens or self.random.randint(1, 3 * self.size)
        self.prompts[name] = length
        self.waiting.append(name)
        self.forking[name] = sequences
        for sequence in sequences:
            self.tokens[sequence] = length
            self.computed[sequence] = 0
            self.tables[sequence] = {g: [] for g in self.groups}
        self.out.append(ev.RequestAdded(name, tuple(sequences), tuple(range(length)), texts, self.limits[name]))

    def _release(self, sequence: int) -> int:
        freed = 0
        for group, table in self.tables[sequence].items():
            while table:
                logical, block = len(table) - 1, table.pop()
                self.holders[block].remove((sequence, logical))
                left = len(self.holders[block])
                self.out.append(ev.BlockReleased("device", group, block, sequence, logical, left))
                if not left:
                    self._free(group, block)
                    freed += 1
        return freed

    def _free(self, group: int, block: int) -> None:
        self.out.append(ev.BlockFreed("device", group, block))
        self.free[0].append(block)

    def _preempt(self) -> None:
        name = list(self.running)[-1]
        alive = self.running.pop(name)
        lost = sum(self.computed[s] for s in alive)
        freed = sum(self._release(s) for s in alive)
        for sequence in self.forking[name]:
            self.computed[sequence] = 0
        # A preempted request begins again with its first live sequence; the others join it as forks.
        self.waiting.insert(0, name)
        self.alive_after_preemption = alive
        self.out.append(ev.RequestPreempted(name, "recompute", "no free block is left", freed, lost))
        self.limits[name] = self.limits[name]
        self.resumed = {*getattr(self, "resumed", set()), name}

    def _grow(self, sequence: int, upto: int, reason: str) -> bool:
        """Blocks for the positions below ``upto``, and copies of those about to be written while shared."""
        for group in self.groups:
            table = self.tables[sequence][group]
            first = self.computed[sequence] // self.size
            if first < len(table) and len(self.holders[table[first]]) > 1:
                if not self.free[0]:
                    return False
                source, target = table[first], self._take()
                table[first] = target
                self.holders[target] = [(sequence, first)]
                self.out.append(ev.BlockAllocated("device", group, target, sequence, first, "copy_on_write"))
                self.out.append(ev.BlockCopied("device", group, source, target, sequence, first))
                self.holders[source].remove((sequence, first))
                left = len(self.holders[source])
                self.out.append(ev.BlockReleased("device", group, source, sequence, first, left))
            while len(table) * self.size < upto:
                if not self.free[0]:
                    return False
                block = self._take()
                self.holders[block] = [(sequence, len(table))]
                self.out.append(ev.BlockAllocated("device", group, block, sequence, len(table), reason))
                table.append(block)
        return True

    def _take(self) -> int:
        return self.free[0].pop(self.random.randrange(len(self.free[0])) if self.random.random() < 0.3 else 0)

    def step(self) -> list[ev.AnyEvent]:
        """One step; returns its events and those since the last one."""
        if self.waiting and len(self.running) < 6:
            name = self.waiting[0]
            first = next(s for s in self.forking[name] if not self._is_finished(s))
            if len(self.free[0]) * self.size > (self.tokens[first] + self.size) * len(self.groups):
                self.waiting.pop(0)
                self.running[name] = [first]
                self.out.append(ev.RequestScheduled(name, name in getattr(self, "resumed", ())))
        scheduled: list[tuple[int, int, int]] = []
        for name in list(self.running):
            for sequence in list(self.running.get(name, ())):
                start = self.computed[sequence]
                count = self.tokens[sequence] - start
                if count > 1:
                    count = min(count, self.random.randint(1, 3 * self.size))
                reason = "prefill" if start < self.prompts[name] else "decode"
                while name in self.running and not self._grow(sequence, start + count, reason):
                    if len(self.running) == 1:
                        self._abort(name)
                    else:
                        self._preempt()
                if name in self.running:
                    scheduled.append((sequence, start, count))
        live = {s for sequences in self.running.values() for s in sequences}
        scheduled = [item for item in scheduled if item[0] in live]
        prefill = sum(c for _, _, c in scheduled if c > 1)
        self.out.append(ev.StepStarted(tuple(scheduled)))
        if scheduled:
            self.out.append(ev.KernelLaunched("paged_decode", (len(scheduled), 3), 30, 17, 1234))
        for sequence, start, count in scheduled:
            self.computed[sequence] = start + count
        self.out.append(ev.StepFinished(self.random.randint(8000, 30000), prefill, len(scheduled)))
        for sequence, start, count in scheduled:
            self._after(sequence, start, count)
        out, self.out = self.out, []
        return out

    def _is_finished(self, sequence: int) -> bool:
        return sequence in getattr(self, "ended", set())

    def _abort(self, name: str) -> None:
        for sequence in self.running.pop(name):
            self._end(name, sequence, "abort")
        self.out.append(ev.RequestFinished(name, "abort"))

    def _end(self, name: str, sequence: int, reason: str) -> None:
        self.ended = {*getattr(self, "ended", set()), sequence}
        self.out.append(ev.SequenceFinished(name, sequence, reason))
        self._release(sequence)

    def _after(self, sequence: int, start: int, count: int) -> None:
        name = next(n for n, s in self.forking.items() if sequence in s)
        for group, table in self.tables[sequence].items():
            for logical in range(start // self.size, (start + count) // self.size):
                self.out.append(
                    ev.BlockFilled(
                        "device", group, table[logical], sequence, logical, f"{self.random.getrandbits(64):016x}"
                    )
                )
        if start + count < self.tokens[sequence]:
            return
        siblings = [s for s in self.forking[name] if s not in self.running[name] and not self._is_finished(s)]
        if start + count == self.prompts[name]:
            for child in siblings:
                self._fork(name, sequence, child, start + count)
        elif start + count >= self.prompts[name] and siblings and name in getattr(self, "resumed", ()):
            for child in siblings:  # after a preemption: they start over from their prompt's length
                if self.tokens[child] >= self.prompts[name]:
                    self._fork(name, sequence, child, min(self.prompts[name], self.tokens[child]))
        for one in [s for s in self.running[name] if s == sequence or s in siblings]:
            if self.computed[one] == self.tokens[one]:
                self.out.append(
                    ev.TokenAppended(one, self.tokens[one], self.random.randrange(50000), self.random.choice(WORDS))
                )
                self.tokens[one] += 1
                if self.tokens[one] - self.prompts[name] >= self.limits[name]:
                    self.running[name].remove(one)
                    self._end(name, one, "length")
        if not self.running[name]:
            del self.running[name]
            self.out.append(ev.RequestFinished(name, "length"))

    def _fork(self, name: str, parent: int, child: int, num_tokens: int) -> None:
        for group, table in self.tables[parent].items():
            for logical, block in enumerate(table[: -(-num_tokens // self.size)]):
                self.holders[block].append((child, logical))
                self.tables[child][group].append(block)
                self.out.append(ev.BlockShared("device", group, block, child, logical, len(self.holders[block])))
        self.computed[child] = num_tokens
        self.running[name].append(child)
        self.out.append(ev.SequenceForked(name, parent, child, num_tokens))


def batches(
    seed: int, steps: int, *, num_blocks: int = 24, block_size: int = 4, groups: int = 1
) -> Iterator[ev.Batch]:
    """A stream of batches, now and then two for one step."""
    engine = ToyEngine(seed, num_blocks, block_size, groups=groups)
    seq = 0
    for step in range(1, steps + 1):
        if engine.random.random() < 0.3:
            engine.add(n=engine.random.choice([1, 1, 2, 3]))
        events = engine.step()
        cut = engine.random.randint(0, len(events)) if engine.random.random() < 0.2 else len(events)
        for part in (events[:cut], events[cut:]):
            if part:
                yield ev.Batch(seq, step, step * 20000, tuple(part))
                seq += len(part)


def eventful_trace(toys: ModuleType) -> bytes:
    """A trace with events of all kinds and both ways to preempt; ``toys`` is ``tests/trace/streams.py``."""
    for seed in range(100):
        toy = toys.random_run(seed, steps=60)
        events = [event for batch in toy.batches for event in batch.events]
        modes = {event.mode for event in events if isinstance(event, ev.RequestPreempted)}
        if {type(event) for event in events} == set(ev.KINDS.values()) and len(modes) == 2:
            break
    head = encode_header(toys.info_of(toy)) + encode_keyframe(toys.start_of(toy))
    return head + b"".join(map(encode_batch, toy.batches))


def batches_until_swapped(trace: bytes) -> int:
    """How many batches of a trace there are up to the first in which a request goes to the host tier."""
    _, _, *lines = trace.splitlines()
    swaps = [any(type(e) is ev.SwappedOut and e.request for e in decode_batch(line).events) for line in lines]
    return 1 + swaps.index(True)
