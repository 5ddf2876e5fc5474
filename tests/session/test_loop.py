"""When steps are taken. The work stands at a gate, so that every test knows in which moment it acts."""

import threading

import pytest

from pagedviz.session.loop import NOTHING_TO_DO, StepLoop


class Gated:
    """Work whose every step waits until the test lets it pass."""

    def __init__(self, steps, *, is_open=False):
        self.left = steps
        self.done = 0
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(1_000_000 if is_open else 0)
        self.abandoned = 0
        self.failure = None

    def pending(self):
        return self.left > 0

    def step(self):
        self.entered.release()
        assert self.gate.acquire(timeout=30)
        if self.failure:
            raise self.failure
        self.left -= 1
        self.done += 1

    def abandon(self):
        self.abandoned += self.left
        self.left = 0

    def enter(self):
        assert self.entered.acquire(timeout=30)


@pytest.fixture
def loop_of():
    made = []

    def make(work):
        made.append((StepLoop(work), work))
        return made[-1][0]

    yield make
    for loop, work in made:
        for _ in range(100):
            work.gate.release()
        loop.take("stop")
        loop.await_end(30)
        assert not loop.alive


def states(loop):
    heard = []
    loop.watch(lambda urgent: heard.append((loop.state, urgent)))
    return heard


def test_it_runs_until_no_work_is_left_and_the_thread_ends(loop_of):
    work = Gated(5, is_open=True)
    loop = loop_of(work)
    assert loop.state == "ready"

    loop.begin()
    loop.await_end(30)

    assert (loop.state, work.done, loop.alive) == ("finished", 5, False)


def test_pause_ends_with_the_step_in_progress(loop_of):
    work = Gated(5)
    loop = loop_of(work)
    loop.begin()
    work.enter()

    loop.take("pause")
    assert loop.state == "running"  # the step is not over yet
    work.gate.release()
    loop.await_rest()

    assert (loop.state, work.done) == ("paused", 1)
    assert not work.entered.acquire(blocking=False)


def test_steps_are_counted_exactly(loop_of):
    work = Gated(50, is_open=True)
    loop = loop_of(work)

    loop.begin(steps=1)
    loop.await_rest()
    assert (loop.state, work.done) == ("paused", 1)

    loop.begin(steps=7)
    loop.await_rest()
    assert (loop.state, work.done) == ("paused", 8)

    for _ in range(3):
        loop.take("step")
    loop.await_rest()
    assert work.done == 11

    loop.begin(steps=1000)
    loop.await_rest()
    assert (loop.state, work.done) == ("finished", 50)


def test_a_step_asked_for_during_another_one_is_not_swallowed(loop_of):
    work = Gated(50)
    loop = loop_of(work)
    loop.begin()
    work.enter()

    loop.take("pause")
    loop.take("step")
    work.gate.release()
    work.enter()  # the step that was asked for
    work.gate.release()
    loop.await_rest()

    assert work.done == 2


def test_resume_goes_on_and_drops_owed_steps(loop_of):
    work = Gated(5)
    loop = loop_of(work)
    loop.begin(steps=2)
    work.enter()

    loop.take("resume")
    for _ in range(5):
        work.gate.release()
    loop.await_end(30)

    assert (loop.state, work.done) == ("finished", 5)


def test_stop_abandons_what_is_left(loop_of):
    work = Gated(5)
    loop = loop_of(work)
    loop.begin()
    work.enter()

    loop.take("stop")
    work.gate.release()
    loop.await_end(30)

    assert (loop.state, work.done, work.abandoned) == ("stopped", 1, 4)


@pytest.mark.parametrize("before", ["ready", "paused"])
def test_stop_while_it_stands(loop_of, before):
    work = Gated(5, is_open=True)
    loop = loop_of(work)
    if before == "paused":
        loop.begin(steps=1)
        loop.await_rest()

    loop.take("stop")
    loop.await_end(30)

    assert (loop.state, work.pending()) == ("stopped", False)


@pytest.mark.parametrize("command", ["pause", "step", "resume", "stop"])
def test_every_command_is_answered_when_nothing_is_left_to_do(loop_of, command):
    loop = loop_of(Gated(0))
    loop.begin()
    loop.await_end(30)
    heard = states(loop)

    loop.take(command, of_view=True)

    assert heard == [("finished", True)]
    assert loop.commands == 1
    assert loop.message == NOTHING_TO_DO


def test_a_failure_ends_the_thread_and_says_why(loop_of):
    work = Gated(5, is_open=True)
    work.failure = RuntimeError("no memory")
    loop = loop_of(work)
    heard = states(loop)

    loop.begin()
    loop.await_end(30)
    assert (loop.state, loop.message) == ("failed", "RuntimeError: no memory")
    assert loop.error is work.failure

    with loop.turn():  # the last word was said on the thread, which is over by now
        assert heard[-1] == ("failed", True)

    work.failure = None
    loop.begin()
    loop.await_end(30)
    assert (loop.state, loop.message, loop.error, work.done) == ("finished", "", None, 5)


def test_a_guest_waits_for_one_step_at_most(loop_of):
    work = Gated(1000)
    loop = loop_of(work)
    loop.begin()
    work.enter()
    seen = []

    def guest():
        with loop.turn():
            seen.append(work.done)

    thread = threading.Thread(target=guest)
    thread.start()
    while not loop._orders.guests:
        pass
    for _ in range(100):
        work.gate.release()
    thread.join(30)

    assert seen == [1]


def test_questions_are_answered_between_steps_also_while_it_stands_or_is_over(loop_of):
    work = Gated(2)
    loop = loop_of(work)
    answered = threading.Semaphore(0)
    names = []

    def ask():
        loop.ask(lambda: (names.append(threading.current_thread().name), answered.release()))

    ask()  # no thread yet: here and now
    loop.begin(steps=1)
    work.enter()
    ask()
    assert len(names) == 1  # not in the middle of a step
    work.gate.release()
    assert answered.acquire(timeout=30)
    assert answered.acquire(timeout=30)
    loop.await_rest()
    ask()  # it stands
    assert answered.acquire(timeout=30)
    work.gate.release()
    loop.begin()
    loop.await_end(30)
    ask()

    assert names == ["MainThread", "pagedviz-engine", "pagedviz-engine", "MainThread"]


def test_listeners_hear_pause_and_single_steps_at_once_and_never_during_a_step(loop_of):
    work = Gated(10, is_open=True)
    loop = loop_of(work)
    heard = states(loop)

    loop.begin(steps=1)
    loop.await_rest()
    loop.begin(steps=3)
    loop.await_rest()
    loop.begin()
    loop.await_end(30)
    with loop.turn():
        pass

    stood = [urgent for state, urgent in heard if state == "paused"]
    assert stood == [True, True, False, False, True]  # began, 1; of 3 only the last one is urgent
    assert heard[5] == ("running", True)
    assert heard[-1] == ("finished", True)


def test_a_failing_view_is_shown_and_dropped_and_the_run_goes_on(loop_of, caplog):
    work = Gated(3, is_open=True)
    loop = loop_of(work)
    heard = []

    def broken(urgent):
        raise ValueError("no canvas")

    loop.watch(broken)
    loop.watch(lambda urgent: heard.append(loop.message))
    loop.begin(steps=1)
    loop.await_rest()

    assert heard[-1] == "A view failed: ValueError: no canvas"
    assert len(caplog.records) == 1

    loop.begin()
    loop.await_end(30)
    assert work.done == 3


def test_a_listener_may_pause_the_run_it_hears_of(loop_of):
    work = Gated(10, is_open=True)
    loop = loop_of(work)

    def stop_at_four(urgent):
        if work.done == 4:
            loop.take("pause")
            loop.await_rest()  # on the stepping thread itself: returns at once

    loop.watch(stop_at_four)
    loop.begin()
    loop._wait(lambda: loop.state == "paused", 30)

    assert work.done == 4


def test_new_work_goes_on_as_before_unless_a_person_stopped_it(loop_of):
    work = Gated(1, is_open=True)
    loop = loop_of(work)
    loop.begin()
    loop.await_end(30)

    work.left = 2
    loop.has_work()
    loop.await_end(30)
    assert (loop.state, work.done) == ("finished", 3)

    loop.begin()
    loop.take("stop")
    loop.await_end(30)
    work.left = 1
    loop.has_work()
    assert (loop.alive, work.done) == (False, 3)


def test_a_listener_that_leaves_while_it_fails_does_not_end_the_run(loop_of):
    loop = loop_of(Gated(3, is_open=True))

    def fails(urgent):
        leave()
        raise RuntimeError("the view is gone")

    leave = loop.watch(fails)

    loop.begin()
    loop.await_end(30)

    assert loop.state == "finished"


def flags(loop):
    return loop.state, loop.alive, loop._orders.go, loop._orders.owed


def test_the_wishes_of_every_state_are_those_of_the_table_in_the_architecture(loop_of):
    work = Gated(5)
    loop = loop_of(work)
    assert flags(loop) == ("ready", False, False, 0)

    loop.begin(steps=2)
    work.enter()  # one of the two has begun
    assert flags(loop) == ("paused", True, False, 1)
    work.gate.release()
    work.enter()
    work.gate.release()
    loop.await_rest()
    assert flags(loop) == ("paused", True, False, 0)

    loop.take("resume")
    work.enter()
    assert flags(loop) == ("running", True, True, 0)
    work.failure = ValueError("no")
    work.gate.release()
    loop.await_end(30)
    assert flags(loop) == ("failed", False, False, 0)

    work.failure = None
    work.gate.release(3)
    loop.take("resume")
    loop.await_end(30)
    assert flags(loop) == ("finished", False, True, 0)

    work.left = 1
    loop.has_work()
    loop.take("stop")
    work.gate.release(2)
    loop.await_end(30)
    assert flags(loop)[1:] == (False, False, 0)
    assert loop.state in {"stopped", "finished"}  # also when the last step ended it first
    work.left = 1
    loop.has_work()
    assert flags(loop) == ("ready", False, False, 0)
