import pytest

from pagedviz.events import BlockFreed, EventBus, StepStarted, discard


def test_events_are_numbered_without_gaps_and_empty_batches_are_not_told():
    bus, heard = EventBus(), []
    bus.subscribe(heard.append)
    bus.publish(0, [StepStarted(()), StepStarted(())])
    bus.publish(1, [])
    bus.publish(2, [StepStarted(())])
    assert [(batch.seq, batch.step, len(batch.events)) for batch in heard] == [(0, 0, 2), (2, 2, 1)]
    assert bus.next_seq == 3
    assert heard[0].t_us <= heard[1].t_us


def test_a_subscriber_can_leave_also_twice_and_while_it_is_called():
    bus, heard = EventBus(), []

    def once(batch):
        heard.append(batch)
        leave()

    leave = bus.subscribe(once)
    bus.subscribe(heard.append)
    bus.publish(0, [StepStarted(())])
    leave()
    bus.publish(1, [StepStarted(())])
    assert [batch.step for batch in heard] == [0, 0, 1]


def test_a_failing_subscriber_keeps_no_batch_from_the_others():
    bus, heard = EventBus(), []
    bus.subscribe(lambda _: 1 / 0)
    bus.subscribe(heard.append)
    with pytest.raises(ZeroDivisionError):
        bus.publish(0, [StepStarted(())])
    assert len(heard) == 1


def test_discard_does_nothing():
    assert discard(StepStarted(())) is None


def test_what_a_subscriber_publishes_comes_after_the_batch_it_heard():
    bus, heard = EventBus(), []

    def answer(batch):
        if batch.step == 1:
            bus.publish(2, [BlockFreed("device", 0, 8)])

    bus.subscribe(answer)
    bus.subscribe(lambda batch: heard.append((batch.seq, batch.step)))

    bus.publish(1, [BlockFreed("device", 0, 7)])

    assert heard == [(0, 1), (1, 2)]
