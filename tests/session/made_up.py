"""Engines that are none of ours: as little as a session needs, and as much as it can use. No torch."""

from pagedviz.events import (
    BlockAllocated,
    EventBus,
    RequestAdded,
    RequestFinished,
    SequenceFinished,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import State, reducer

INFO = EngineInfo("made up", 4, 8, 0, (LayerGroup((0, 1)),), 2, 8, "float32", "cpu", True, "none", 1024, "0")


class Told:
    """An output: its fields are this engine's own."""

    def __init__(self, request_id, tokens, finished):
        self.request_id, self.tokens, self.finished = request_id, tokens, finished


class Least:
    """Plays three steps of one request, and can do nothing else."""

    steps = 3
    info = INFO

    def __init__(self):
        self.bus = EventBus()
        self.subscribe = self.bus.subscribe
        self.state = State(4, {"device": 8}, blocks={"device": {}})
        self.bus.subscribe(lambda batch: reducer.apply_batch(self.state, batch))
        self.taken = 0

    def snapshot(self):
        return self.state.copy()

    def has_unfinished_requests(self):
        return self.taken < self.steps

    def step(self):
        step = self.taken = self.taken + 1
        first = [RequestAdded("r0", (0,), (1,), (), self.steps)] if step == 1 else []
        new = [BlockAllocated("device", 0, 0, 0, 0, "prefill")] if step == 1 else []
        end = [SequenceFinished("r0", 0, "length"), RequestFinished("r0", "length")] if step == self.steps else []
        done = [StepFinished(5, int(step == 1), int(step > 1)), TokenAppended(0, step, 7, "x")]
        self.bus.publish(step, [*first, StepStarted(((0, step - 1, 1),)), *new, *done, *end])
        return [Told("r0", step, step == self.steps)]


class Most(Least):
    """Takes requests too, and can say that its next step evicts something."""

    foretells = ("BlockEvicted",)

    def __init__(self):
        super().__init__()
        self.asked, self.aborted, self.taken = [], [], self.steps

    def add_request(self, prompt, params=None, *, request_id=None, **sampling):
        self.asked.append((prompt, params, sampling))
        self.taken = 0
        return request_id or "r0"

    def abort(self, request_id):
        self.aborted.append(request_id)
        self.taken = self.steps
        return True

    def preview(self):
        class Plan:
            kinds = ("BlockEvicted",) if self.taken == 1 else ()

        return Plan
