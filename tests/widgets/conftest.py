"""A run made by hand: real events through the real bus and recorder, without an engine."""

import pytest

from pagedviz.events import BlockAllocated, EventBus, RequestAdded, StepFinished, StepStarted
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import Recorder, State

INFO = EngineInfo("tiny", 4, 8, 0, (LayerGroup((0, 1)),), 2, 8, "float32", "cpu", True, "torch", 1024, "0")


class Run:
    """An engine to a recorder, and a feed to a stream."""

    live = True
    message = ""
    breaks, predicting, upcoming, score = (), False, None, (0, 0)

    def __init__(self):
        self.bus = EventBus()
        self.info = INFO
        self.subscribe = self.bus.subscribe
        self.recorder = Recorder(self)
        self.step, self.state, self.commands = 0, "ready", 0
        self.taken, self.listeners, self.questions = [], [], []
        self.postpones = False

    def snapshot(self):
        return State(4, {"device": 8}, blocks={"device": {}}, seq=self.bus.next_seq)

    def advance(self, urgent=False):
        """One step, and what a session does after it."""
        self.step += 1
        first = [RequestAdded("r0", (0,), (1, 2), ("a", "b"), 4)] if self.step == 1 else []
        begin = [*first, StepStarted(((0, self.step - 1, 1),))]
        if self.step <= 2:
            begin.append(BlockAllocated("device", 0, self.step, 0, self.step - 1, "decode"))
        self.bus.publish(self.step, [*begin, StepFinished(10, 0, 1)])
        for listener in self.listeners:
            listener(urgent)

    @property
    def trace(self):
        return self.recorder.trace

    @property
    def status(self):
        return self

    def watch(self, listener):
        self.listeners.append(listener)
        return lambda: listener in self.listeners and self.listeners.remove(listener)

    def command(self, command, **details):
        self.commands += 1
        self.taken.append((command, details) if details else command)

    def ask(self, question):
        if self.postpones:
            self.questions.append(question)
        else:
            question()


@pytest.fixture
def run():
    return Run()
