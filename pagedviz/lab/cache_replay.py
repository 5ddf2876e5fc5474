"""Requests through the engine's own block manager, swapper and eviction policy, without engine and model.

Requests are served one at a time, each to its end, in the steps that an engine with nothing else to do would
take: prompt in chunks, then a token a step for every sample. So a run that an engine served like that is told
again exactly, event for event of the cache, whatever the policy. Where requests ran at the same time it is not
the same run: here nobody is preempted, and all of the pool but one request's blocks is there for the cache.

What is served is decided in ``workloads`` and ``recorded``, with which policies in ``policies``.
"""

from __future__ import annotations

from pagedviz.errors import ConfigError
from pagedviz.events import AnyEvent, BlockEvicted, Emit, discard
from pagedviz.lab.workloads import TokenRequest, check_count
from pagedviz.memory import BlockManager, EvictionPolicy, Placement, Prefix, Swapper


class CacheReplay:
    """A pool with a prefix cache, and who asks for what. The arguments are called as the engine's.

    Args:
        num_blocks: in the device tier.
        eviction: a name in ``POLICIES`` or an object, as the engine takes it; an object serves one pool only.
        num_groups: block tables per sequence.
        emit: told all that happens to blocks, as the engine's listeners are.

    Attributes:
        looked_for_tokens: prompt tokens so far.
        hit_tokens: those of them that were in memory.
        evictions: device blocks that lost their content for somebody else.
        manager: the block manager.
    """

    def __init__(
        self,
        num_blocks: int,
        block_size: int = 16,
        *,
        eviction: str | EvictionPolicy = "lru",
        num_groups: int = 1,
        num_host_blocks: int = 0,
        placement: str | Placement = "always",
        max_num_batched_tokens: int = 512,
        seed: int = 0,
        emit: Emit = discard,
    ) -> None:
        check_count("num_blocks", num_blocks)
        check_count("block_size", block_size)
        check_count("num_groups", num_groups)
        check_count("max_num_batched_tokens", max_num_batched_tokens)
        self.looked_for_tokens = self.hit_tokens = self.evictions = 0
        self._emit = emit
        self._budget = max_num_batched_tokens
        self._step = 0
        self._next_sequence = 0
        self.manager = BlockManager(
            num_blocks,
            block_size,
            num_groups,
            self._follow,
            num_host_blocks=num_host_blocks,
            caching=True,
            eviction=eviction,
            seed=seed,
        )
        self._swapper = Swapper(self.manager, placement=placement)

    @property
    def hit_rate(self) -> float:
        """Share of the prompt tokens that were found; 0 if there were none."""
        return self.hit_tokens / max(1, self.looked_for_tokens)

    def serve(self, request: TokenRequest) -> int:
        """Serve a request from its first step to its last; returns how many tokens of its prompt were found.

        Raises:
            ConfigError: it needs more blocks than there are.
            PolicyError: the eviction policy made no valid choice.
        """
        total = self.manager.device.pool.num_blocks
        needed = request.num_blocks(self.manager.block_size) * self.manager.num_groups
        if needed > total:
            raise ConfigError(f"a request needs {needed} blocks, and there are {total}")
        first, self._next_sequence = self._next_sequence, self._next_sequence + len(request.outputs)
        samples = {first + i: request.prompt + output for i, output in enumerate(request.outputs)}
        found = self._prefill(first, request)
        for child in list(samples)[1:]:
            self.manager.fork(first, child, len(request.prompt))
        self._decode(samples, request)
        self.looked_for_tokens += len(request.prompt)
        self.hit_tokens += found
        return found

    def _follow(self, event: AnyEvent) -> None:
        self.evictions += isinstance(event, BlockEvicted) and event.tier == "device"
        self._emit(event)

    def _tick(self, steps: int = 1) -> None:
        self._step += steps
        self.manager.set_step(self._step)

    def _prefill(self, sequence: int, request: TokenRequest) -> int:
        manager, prompt = self.manager, request.prompt
        prefix: Prefix | None = manager.finder.find(sequence, prompt, request.salt)
        assert prefix is not None
        found = start = prefix.found * manager.block_size
        while start < len(prompt):
            count = min(len(prompt) - start, self._budget)
            self._tick()
            if prefix is not None:
                self._begin(sequence, prefix, start, count)
                prefix = None
            else:
                self._make_room([sequence], start, count)
            manager.begin()
            manager.write(sequence, start, count, "prefill")
            start += count
            manager.fill(sequence, prompt, start, request.salt)
        return found

    def _begin(self, sequence: int, prefix: Prefix, start: int, count: int) -> None:
        """What was found becomes the sequence's, and there is room for the first chunk."""
        dry_run = self.manager.dry_run()
        dry_run.hit(prefix)
        dry_run.write(sequence, start, count, prefix.found)
        self._swapper.pin(prefix.names[: prefix.found])
        try:
            self.manager.attach(sequence, prefix, prefix.on_device)
            self._swapper.make_room(dry_run.num_taken)
            if prefix.found > prefix.on_device:
                self._swapper.promote("", sequence, prefix)
        finally:
            self._swapper.unpin()

    def _make_room(self, sequences: list[int], start: int, count: int) -> None:
        dry_run = self.manager.dry_run()
        for sequence in sequences:
            dry_run.write(sequence, start, count)
        self._swapper.make_room(dry_run.num_taken)

    def _decode(self, samples: dict[int, tuple[int, ...]], request: TokenRequest) -> None:
        """All samples generate, and end. Steps that stay inside a block are taken together."""
        manager, size, position = self.manager, self.manager.block_size, len(request.prompt)
        while True:
            # A last token ends its sample before its K and V are computed.
            for sequence in [s for s, tokens in samples.items() if len(tokens) - 1 <= position]:
                manager.release(sequence)
                del samples[sequence]
            if not samples:
                return
            shortest = min(map(len, samples.values())) - 1
            count = min(size - position % size, shortest - position)
            self._tick()
            self._make_room(list(samples), position, count)
            manager.begin()
            for sequence in samples:
                manager.write(sequence, position, count, "decode")
            self._tick(count - 1)
            position += count
            for sequence, tokens in samples.items():
                manager.fill(sequence, tokens, position, request.salt)
