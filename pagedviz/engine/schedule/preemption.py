"""Who is preempted when blocks do not suffice, and how: by swap or by recomputation, and with which reason.

A victim policy names the request; the request or the engine says how, or leaves it to the cost model. Changes
nothing: it counts in a dry run. Knows nothing of queues, nor of what running requests need.
"""

from __future__ import annotations

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.request import Request
from pagedviz.engine.schedule.costs import CostModel
from pagedviz.engine.schedule.plan import Preemption
from pagedviz.engine.schedule.victims import Candidate, make_victim_policy
from pagedviz.errors import PolicyError
from pagedviz.memory import BlockManager, DryRun
from pagedviz.memory.plugin import explanation, name_of
from pagedviz.values import counted


class Preempting:
    """Chooses one victim at a time."""

    def __init__(self, config: EngineConfig, manager: BlockManager, costs: CostModel, bytes_per_block: int) -> None:
        self._config = config
        self._manager = manager
        self._costs = costs
        self._bytes_per_block = bytes_per_block
        self._victims = make_victim_policy(config.victim)

    def next(self, running: list[Request], dry_run: DryRun, short: str) -> Preemption:
        """The next victim; ``dry_run`` counts its blocks as given back."""
        assert len(running) > 1, "a request that is alone fits: that was checked when it came"
        candidates = [Candidate(request, tokens_in_memory(request, self._manager)) for request in running[1:]]
        chosen, why = self._choose(candidates)
        victim = chosen.request
        ids = [sequence.id for sequence in victim.active()]
        mode, how = self._mode(chosen, dry_run, ids)
        preemption = Preemption(victim, mode, "; ".join(filter(None, (short, why, how))))
        count_preemption(preemption, dry_run)
        return preemption

    def _choose(self, candidates: list[Candidate]) -> tuple[Candidate, str]:
        name = name_of(self._victims)
        try:
            victim = self._victims.choose(tuple(candidates))
            why = explanation("victim policy", self._victims, self._victims.explain(victim))
        except PolicyError:
            raise
        except Exception as error:
            raise PolicyError(f"victim policy {name!r} raised {error!r}") from error
        if victim not in candidates:
            valid = [candidate.request.id for candidate in candidates]
            raise PolicyError(f"victim policy {name!r} chose {victim!r}, which is none of {valid}")
        return victim, why

    def _mode(self, victim: Candidate, dry_run: DryRun, ids: list[int]) -> tuple[str, str]:
        """Swap or recompute, and what there is to say about it."""
        wanted = victim.request.params.preemption or self._config.preemption
        blocks = {block for id_ in ids for table in self._manager.tables(id_) for block in table}
        if wanted == "recompute" or not blocks:
            return "recompute", ""
        if len(blocks) > dry_run.num_host_free:
            total = self._config.num_host_blocks
            if not total:
                return "recompute", ""
            free = dry_run.num_host_free
            has, of, are = counted(len(blocks), "block"), counted(total, "block"), "is" if free == 1 else "are"
            return "recompute", f"not swapped: it has {has}, and of {of} of the host {free} {are} free"
        if wanted == "swap":
            return "swap", ""
        return self._costs.choose(len(blocks) * self._bytes_per_block, victim.tokens)


def count_preemption(preemption: Preemption, dry_run: DryRun) -> None:
    """Count the victim's blocks as given back."""
    ids = [sequence.id for sequence in preemption.request.active()]
    if preemption.mode == "swap":
        dry_run.swap_out(ids)
    else:
        dry_run.release(ids)


def tokens_in_memory(request: Request, manager: BlockManager) -> int:
    """How many tokens a running request has in memory: what it loses if they must be computed again."""
    return manager.num_tokens({sequence.id: sequence.computed for sequence in request.active()})
