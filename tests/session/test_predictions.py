"""Guesses: where the run stops for them, and what they are compared with. With a real engine."""

import pytest
from stopping import events_in, kinds_in, rest, stops

import pagedviz as pv
from pagedviz.events import RequestPreempted
from pagedviz.session.predictions import Pick


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
