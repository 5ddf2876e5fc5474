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
def stepper_of():
    made = []

    def make(work):
        made.append((StepLoop(work), work))
        return made[-1][0]

    yield make
    for stepper, work in made:
        for _ in range(100):
            work.gate.release()
        stepper.take("stop")
        stepper.await_end(30)
        assert not stepper.alive


def states(stepper):
    heard = []
    stepper.watch(lambda urgent: heard.append((stepper.state, urgent)))
    return heard


def test_it_runs_until_no_work_is_left_and_the_thread_ends(stepper_of):
    work = Gated(5, is_open=True)
    stepper = stepper_of(work)
    assert stepper.state == "ready"

    stepper.begin()
    stepper.await_end(30)

    assert (stepper.state, work.done, stepper.alive) == ("finished", 5, False)


def test_pause_ends_with_the_step_in_progress(stepper_of):
    work = Gated(5)
    stepper = stepper_of(work)
    stepper.begin()
    work.enter()

    stepper.take("pause")
    assert stepper.state == "running"  # the step is not over yet
    work.gate.release()
    stepper.await_rest()

    assert (stepper.state, work.done) == ("paused", 1)
    assert not work.entered.acquire(blocking=False)


def test_steps_are_counted_exactly(stepper_of):
    work = Gated(50, is_open=True)
    stepper = stepper_of(work)

    stepper.begin(steps=1)
    stepper.await_rest()
    assert (stepper.state, work.done) == ("paused", 1)

    stepper.begin(steps=7)
    stepper.await_rest()
    assert (stepper.state, work.done) == ("paused", 8)

    for _ in range(3):
        stepper.take("step")
    stepper.await_rest()
    assert work.done == 11

    stepper.begin(steps=1000)
    stepper.await_rest()
    assert (stepper.state, work.done) == ("finished", 50)


def test_a_step_asked_for_during_another_one_is_not_swallowed(stepper_of):
    work = Gated(50)
    stepper = stepper_of(work)
    stepper.begin()
    work.enter()

    stepper.take("pause")
    stepper.take("step")
    work.gate.release()
    work.enter()  # the step that was asked for
    work.gate.release()
    stepper.await_rest()

    assert work.done == 2


def test_resume_goes_on_and_drops_owed_steps(stepper_of):
    work = Gated(5)
    stepper = stepper_of(work)
    stepper.begin(steps=2)
    work.enter()

    stepper.take("resume")
    for _ in range(5):
        work.gate.release()
    stepper.await_end(30)

    assert (stepper.state, work.done) == ("finished", 5)


def test_stop_abandons_what_is_left(stepper_of):
    work = Gated(5)
    stepper = stepper_of(work)
    stepper.begin()
    work.enter()

    stepper.take("stop")
    work.gate.release()
    stepper.await_end(30)

    assert (stepper.state, work.done, work.abandoned) == ("stopped", 1, 4)


@pytest.mark.parametrize("before", ["ready", "paused"])
def test_stop_while_it_stands(stepper_of, before):
    work = Gated(5, is_open=True)
    stepper = stepper_of(work)
    if before == "paused":
        stepper.begin(steps=1)
        stepper.await_rest()

    stepper.take("stop")
    stepper.await_end(30)

    assert (stepper.state, work.pending()) == ("stopped", False)


@pytest.mark.parametrize("command", ["pause", "step", "resume", "stop"])
def test_every_command_is_answered_when_nothing_is_left_to_do(stepper_of, command):
    stepper = stepper_of(Gated(0))
    stepper.begin()
    stepper.await_end(30)
    heard = states(stepper)

    stepper.take(command, of_view=True)

    assert heard == [("finished", True)]
    assert stepper.commands == 1
    assert stepper.message == NOTHING_TO_DO


def test_a_failure_ends_the_thread_and_says_why(stepper_of):
    work = Gated(5, is_open=True)
    work.failure = RuntimeError("no memory")
    stepper = stepper_of(work)
    heard = states(stepper)

    stepper.begin()
    stepper.await_end(30)
    assert (stepper.state, stepper.message) == ("failed", "RuntimeError: no memory")
    assert stepper.error is work.failure

    with stepper.turn():  # the last word was said on the thread, which is over by now
        assert heard[-1] == ("failed", True)

    work.failure = None
    stepper.begin()
    stepper.await_end(30)
    assert (stepper.state, stepper.message, stepper.error, work.done) == ("finished", "", None, 5)


def test_a_guest_waits_for_one_step_at_most(stepper_of):
    work = Gated(1000)
    stepper = stepper_of(work)
    stepper.begin()
    work.enter()
    seen = []

    def guest():
        with stepper.turn():
            seen.append(work.done)

    thread = threading.Thread(target=guest)
    thread.start()
    while not stepper._orders.guests:
        pass
    for _ in range(100):
        work.gate.release()
    thread.join(30)

    assert seen == [1]


def test_questions_are_answered_between_steps_also_while_it_stands_or_is_over(stepper_of):
    work = Gated(2)
    stepper = stepper_of(work)
    answered = threading.Semaphore(0)
    names = []

    def ask():
        stepper.ask(lambda: (names.append(threading.current_thread().name), answered.release()))

    ask()  # no thread yet: here and now
    stepper.begin(steps=1)
    work.enter()
    ask()
    assert len(names) == 1  # not in the middle of a step
    work.gate.release()
    assert answered.acquire(timeout=30)
    assert answered.acquire(timeout=30)
    stepper.await_rest()
    ask()  # it stands
    assert answered.acquire(timeout=30)
    work.gate.release()
    stepper.begin()
    stepper.await_end(30)
    ask()

    assert names == ["MainThread", "pagedviz-engine", "pagedviz-engine", "MainThread"]


def test_listeners_hear_pause_and_single_steps_at_once_and_never_during_a_step(stepper_of):
    work = Gated(10, is_open=True)
    stepper = stepper_of(work)
    heard = states(stepper)

    stepper.begin(steps=1)
    stepper.await_rest()
    stepper.begin(steps=3)
    stepper.await_rest()
    stepper.begin()
    stepper.await_end(30)
    with stepper.turn():
        pass

    stood = [urgent for state, urgent in heard if state == "paused"]
    assert stood == [True, True, False, False, True]  # began, 1; of 3 only the last one is urgent
    assert heard[5] == ("running", True)
    assert heard[-1] == ("finished", True)


def test_a_failing_view_is_shown_and_dropped_and_the_run_goes_on(stepper_of, caplog):
    work = Gated(3, is_open=True)
    stepper = stepper_of(work)
    heard = []

    def broken(urgent):
        raise ValueError("no canvas")

    stepper.watch(broken)
    stepper.watch(lambda urgent: heard.append(stepper.message))
    stepper.begin(steps=1)
    stepper.await_rest()

    assert heard[-1] == "A view failed: ValueError: no canvas"
    assert len(caplog.records) == 1

    stepper.begin()
    stepper.await_end(30)
    assert work.done == 3


def test_a_listener_may_pause_the_run_it_hears_of(stepper_of):
    work = Gated(10, is_open=True)
    stepper = stepper_of(work)

    def stop_at_four(urgent):
        if work.done == 4:
            stepper.take("pause")
            stepper.await_rest()  # on the stepping thread itself: returns at once

    stepper.watch(stop_at_four)
    stepper.begin()
    stepper._wait(lambda: stepper.state == "paused", 30)

    assert work.done == 4


def test_new_work_goes_on_as_before_unless_a_person_stopped_it(stepper_of):
    work = Gated(1, is_open=True)
    stepper = stepper_of(work)
    stepper.begin()
    stepper.await_end(30)

    work.left = 2
    stepper.has_work()
    stepper.await_end(30)
    assert (stepper.state, work.done) == ("finished", 3)

    stepper.begin()
    stepper.take("stop")
    stepper.await_end(30)
    work.left = 1
    stepper.has_work()
    assert (stepper.alive, work.done) == (False, 3)


def test_a_listener_that_leaves_while_it_fails_does_not_end_the_run(stepper_of):
    stepper = stepper_of(Gated(3, is_open=True))

    def fails(urgent):
        leave()
        raise RuntimeError("the view is gone")

    leave = stepper.watch(fails)

    stepper.begin()
    stepper.await_end(30)

    assert stepper.state == "finished"


def flags(stepper):
    return stepper.state, stepper.alive, stepper._orders.go, stepper._orders.owed


def test_the_wishes_of_every_state_are_those_of_the_table_in_the_architecture(stepper_of):
    work = Gated(5)
    stepper = stepper_of(work)
    assert flags(stepper) == ("ready", False, False, 0)

    stepper.begin(steps=2)
    work.enter()  # one of the two has begun
    assert flags(stepper) == ("paused", True, False, 1)
    work.gate.release()
    work.enter()
    work.gate.release()
    stepper.await_rest()
    assert flags(stepper) == ("paused", True, False, 0)

    stepper.take("resume")
    work.enter()
    assert flags(stepper) == ("running", True, True, 0)
    work.failure = ValueError("no")
    work.gate.release()
    stepper.await_end(30)
    assert flags(stepper) == ("failed", False, False, 0)

    work.failure = None
    work.gate.release(3)
    stepper.take("resume")
    stepper.await_end(30)
    assert flags(stepper) == ("finished", False, True, 0)

    work.left = 1
    stepper.has_work()
    stepper.take("stop")
    work.gate.release(2)
    stepper.await_end(30)
    assert flags(stepper)[1:] == (False, False, 0)
    assert stepper.state in {"stopped", "finished"}  # also when the last step ended it first
    work.left = 1
    stepper.has_work()
    assert flags(stepper) == ("ready", False, False, 0)
