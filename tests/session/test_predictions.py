"""Guesses: where the run stops for them, and what they are compared with. With a real engine."""

import pytest
from stopping import events_in, kinds_in, rest, stops

import pagedviz as pv
from pagedviz.events import Batch, BlockCopied, RequestPreempted
from pagedviz.session.predictions import Pick, Predictions


def test_it_stops_before_every_decision_and_does_not_say_which(pressed):
    pressed.predict()

    seen = stops(pressed)

    decisions = [step for step in range(1, pressed.status.step + 1) if kinds_in(pressed, step)]
    assert [status.upcoming.step for status in seen] == decisions
    for status in seen:
        assert set(status.upcoming.kinds) == kinds_in(pressed, status.upcoming.step)
    assert pressed.predictions == ()
    assert (pressed.status.upcoming, pressed.status.predicting) == (None, True)


def test_guesses_are_compared_with_what_happens(pressed):
    pressed.predict()
    rights = 0
    while (status := rest(pressed)).state == "paused":
        made = len(pressed.predictions)
        kinds = status.upcoming.kinds
        if "RequestPreempted" in kinds:
            pressed.guess(request=pressed.engine.preview().preempted[0][0])
        elif "BlockCopied" in kinds:
            pressed.guess(sequence=pressed.engine.preview().copies[0][0])
        else:
            pressed.guess(block=0)
        pressed.step()
        (latest,) = pressed.predictions[made:]
        assert latest.step == status.upcoming.step
        assert latest.kind in kinds
        assert latest.right == (latest.guess in latest.choice)
        assert latest.why
        if "RequestPreempted" in kinds or "BlockCopied" in kinds:
            assert latest.right
        rights += latest.right
    assert pressed.status.score == (rights, len(pressed.predictions))
    assert {"RequestPreempted", "BlockCopied"} <= {made.kind for made in pressed.predictions}


def test_choice_and_why_are_the_events(pressed):
    pressed.break_on(break_before="RequestPreempted")
    pressed.predict()
    while "RequestPreempted" not in rest(pressed).upcoming.kinds:
        pass
    first = pressed.engine.unfinished_request_ids()[0]
    pressed.guess(request=first)
    pressed.step()

    (made,) = pressed.predictions
    events = [e for e in events_in(pressed, made.step) if isinstance(e, RequestPreempted)]
    assert (made.kind, made.guess, made.right) == ("RequestPreempted", Pick(request=first), False)
    assert made.choice == tuple(Pick(request=event.request) for event in events)
    assert made.why == events[0].reason


def _asked(*kinds):
    """Sequences 0 and 1 of one request, 2 of another: all have block 0, the first two block 1."""
    predictions = Predictions()
    tables = {
        0: [("device", 0), ("device", 1)],
        1: [("device", 0), ("device", 1)],
        2: [("device", 0), ("device", 2)],
    }
    predictions.ask(3, kinds, {0: "r0", 1: "r0", 2: "r1"}, tables)
    return predictions


@pytest.mark.parametrize("kind", ["RequestPreempted", "SwappedOut", "SwappedIn"])
def test_a_block_that_several_requests_have_does_not_say_who(kind):
    predictions = _asked(kind)
    with pytest.raises(pv.SessionError, match="block 0 belongs to requests r0, r1"):
        predictions.take(Pick(0, "device"))
    assert predictions.guess is None
    predictions.take(Pick(1, "device"))
    assert predictions.guess == Pick(1, "device")


@pytest.mark.parametrize("copied", [0, 5])
def test_a_shared_block_is_still_a_guess_of_what_is_copied(copied):
    predictions = _asked("RequestPreempted", "BlockCopied")
    predictions.take(Pick(0, "device"))
    preempted = RequestPreempted("r0", "swap", "no room", 0, 2)
    copy = BlockCopied(tier="device", group=0, source=copied, target=6, sequence=2, logical=0)
    predictions.judge([Batch(0, 3, 0, (preempted, copy))], over=True)
    (made,) = predictions.made
    assert (made.kind, made.right) == ("BlockCopied", copied == 0)


def test_what_cannot_be_guessed_is_told(pressed):
    with pytest.raises(pv.SessionError, match="nothing to guess"):
        pressed.guess(block=1)
    pressed.predict()
    rest(pressed)
    for options, message in (
        ({}, "give one of"),
        ({"block": 1, "sequence": 1}, "give one of"),
        ({"block": 12}, "block=12"),
        ({"tier": "host", "sequence": 0}, "goes with a block"),
        ({"sequence": 999}, "sequence=999 is none of"),
        ({"request": "nobody"}, "request='nobody' is none of"),
    ):
        with pytest.raises((pv.ConfigError, pv.SessionError), match=message):
            pressed.guess(**options)
    pressed.predict(False)
    assert pressed.status.upcoming is None
    with pytest.raises(pv.ConfigError, match=r"predict\(3\)"):
        pressed.predict(3)


def test_predict_while_it_stands_looks_ahead_at_once(pressed):
    pressed.break_on(break_before="BlockCopied")
    status = rest(pressed)
    assert status.upcoming is None

    pressed.predict()
    pressed._loop.await_rest()

    assert pressed.status.upcoming.step == status.step + 1
    pressed.step()
    assert pressed.status.step == status.step + 1
