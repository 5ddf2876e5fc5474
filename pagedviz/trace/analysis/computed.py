"""What was computed for the first time and what again: K and V that a preemption gave up are computed once more.

A position that a sequence had reached before is computed again, be it of the prompt or of the answer. What a
resumed request finds in the prefix cache it need not compute. Knows nothing about blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagedviz.events import PrefixHit, RequestAdded, SequenceForked, StepFinished, StepStarted

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace


class Computed(NamedTuple):
    """Tokens whose K and V were computed: of prompts, of answers, and once more after a preemption.

    ``found_again`` were not: resumed requests found them in the prefix cache.
    """

    prompts: int
    answers: int
    again: int
    found_again: int


def computed_tokens(trace: Trace, step: int) -> Computed | None:
    """What was computed until ``step`` was over; None if the trace does not begin where the run did."""
    if trace.start.seq:
        return None
    prompt: dict[int, int] = {}
    reached: dict[int, int] = {}
    scheduled: tuple[tuple[int, int, int], ...] = ()
    total, found_again = Computed(0, 0, 0, 0), 0
    for event in (event for batch in trace.batches if batch.step <= step for event in batch.events):
        match event:
            case RequestAdded():
                prompt.update(dict.fromkeys(event.sequences, len(event.prompt)))
            case SequenceForked():
                prompt.setdefault(event.child, prompt.get(event.parent, 0))
                reached[event.child] = max(reached.get(event.child, 0), event.num_tokens)
            case PrefixHit():
                reached[event.sequence] = max(reached.get(event.sequence, 0), event.tokens)
                found_again += event.tokens * event.resumed
            case StepStarted():
                scheduled = event.scheduled
            case StepFinished():
                for sequence, start, count in scheduled:
                    before, end = reached.get(sequence, 0), start + count
                    total = _add(total, start, end, before, prompt.get(sequence, 0))
                    reached[sequence] = max(before, end)
            case _:
                pass
    return total._replace(found_again=found_again)


def _add(total: Computed, start: int, end: int, reached: int, prompt: int) -> Computed:
    """Count positions ``start`` to ``end`` of a sequence that had ``reached`` some, and whose prompt is so long."""
    first = max(start, reached)
    new = max(0, end - first)
    of_prompt = max(0, min(end, prompt) - first)
    prompts, answers, again, found_again = total
    return Computed(prompts + of_prompt, answers + new - of_prompt, again + end - start - new, found_again)
