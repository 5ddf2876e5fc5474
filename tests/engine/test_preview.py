"""What is told before a step comes true in it, and telling changes nothing."""

import itertools
import random
from collections import deque

import msgspec
import pytest
from driving import GREEDY, PROMPTS, SIZE, of

import pagedviz as pv
from pagedviz.engine.schedule.preview import FORETOLD, Preview
from pagedviz.engine.schedule.victims import VICTIMS
from pagedviz.errors import PolicyError
from pagedviz.events import BlockCopied, BlockEvicted, RequestPreempted, SwappedOut
from pagedviz.memory import PLACEMENTS, POLICIES

LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)
PRESSED = {
    "block_size": SIZE,
    "num_device_blocks": 17,
    "num_host_blocks": 12,
    "max_num_seqs": 16,
    "max_num_batched_tokens": 33,
    "preemption": "auto",
}
BEAMS = {"beam_width": 3, "n": 2, "max_tokens": 10, "temperature": 0.0}
SHAPES = [{"n": 3}, {}, BEAMS, {"n": 2}, {}, {"preemption": "swap"}, {"preemption": "recompute"}, {}]


class Costs:
    """As many bytes as tokens in the same time, always: what is measured would differ from run to run."""

    def saw_copy(self, *seen):
        pass

    saw_prefill = saw_copy

    def choose(self, num_bytes, tokens):
        return ("swap", "few") if tokens % 3 else ("recompute", "many")


def new_engine(model, **options):
    engine = pv.Engine(model, **{**PRESSED, **options})
    core = engine._core
    core.costs = core.scheduler._preempting._costs = Costs()
    return engine


def steady(event):
    """The event without what a clock said."""
    return msgspec.structs.replace(event, duration_us=0) if hasattr(event, "duration_us") else event


def run(engine, seed, *, look):
    """All prompts, some again, arriving on the way: per step what was told (if asked), and what happened."""
    draw = random.Random(seed)
    told, steps, outputs = [], [], {}
    batches = []
    stop = engine.subscribe(batches.append)
    coming = [(prompt, shape) for prompt, shape in zip(PROMPTS, SHAPES, strict=True)]
    while coming or engine.has_unfinished_requests():
        for _ in range(draw.choice([0, 0, 1, 3])):
            if coming:
                prompt, shape = coming.pop(0)
                if not engine.config.num_host_blocks and shape.get("preemption") == "swap":
                    shape = {}
                engine.add_request(list(prompt), priority=len(coming) % 3, **{**GREEDY, **shape})
        if draw.random() < 0.02 and engine.unfinished_request_ids():
            engine.abort(draw.choice(engine.unfinished_request_ids()))
        before = len(batches)
        if look:
            told.append(engine.preview())
            assert engine.preview() == told[-1]
        for output in engine.step():
            outputs[output.request_id] = [sample.token_ids for sample in output.outputs]
        if look:
            engine.audit()
        steps.append([steady(event) for batch in batches[before:] for event in batch.events])
        assert len(steps) < 2000
    stop()
    return told, steps, outputs


def check_agreement(told, steps):
    for number, (preview, events) in enumerate(zip(told, steps, strict=True), 1):
        happened = {type(event).__name__ for event in events} & set(FORETOLD)
        if not events:
            assert preview.kinds == ()
            continue
        assert set(preview.kinds) == happened, (number, preview)
        assert preview.preempted == tuple((e.request, e.mode) for e in of(events, RequestPreempted))
        assert preview.copies == tuple((e.sequence, e.group, e.logical) for e in of(events, BlockCopied))
        evicted = [event.tier for event in of(events, BlockEvicted)]
        assert preview.num_evicted == evicted.count("device")
        assert preview.num_evicted_host == evicted.count("host")


def check(model, seed=0, **options):
    told, steps, outputs = run(new_engine(model, **options), seed, look=True)
    _, alone, outputs_alone = run(new_engine(model, **options), seed, look=False)
    assert steps == alone
    assert outputs == outputs_alone
    check_agreement(told, steps)
    return {kind for preview in told for kind in preview.kinds}


@pytest.mark.parametrize("eviction", LIVE)
def test_with_every_eviction_policy(model, eviction):
    seed = LIVE.index(eviction)
    placement = sorted(PLACEMENTS)[seed % 3]

    assert check(model, seed, eviction=eviction, placement=placement) == set(FORETOLD)


@pytest.mark.parametrize("eviction", ["clock", "random"])
def test_where_it_hangs_on_the_policy_what_goes_down(model, eviction):
    assert check(model, eviction=eviction, placement="reused") == set(FORETOLD)


@pytest.mark.parametrize("victim", sorted(VICTIMS))
@pytest.mark.parametrize("preemption", ["swap", "recompute", "auto"])
def test_with_every_way_to_preempt(model, preemption, victim):
    prefix_caching = victim != "largest"
    kinds = check(model, preemption=preemption, victim=victim, prefix_caching=prefix_caching)

    assert {"RequestPreempted", "BlockCopied"} <= kinds
    assert ("BlockEvicted" in kinds) == prefix_caching


@pytest.mark.parametrize("host", [0, 1, 40])
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_with_several_groups_and_every_size_of_the_host_tier(tiny, family, host):
    blocks = 34 if family == "gemma3" else 17
    kinds = check(tiny(family), host, num_device_blocks=blocks, num_host_blocks=host, placement="reused")

    if host != 1:  # into one block something goes down; that it is found there again is chance
        assert ("SwappedIn" in kinds) == (host > 0)


class Moody:
    """A victim policy that answers differently every time, and remembers whom it saw."""

    name, summary = "moody", ""

    def __init__(self):
        self.lots, self.seen = random.Random(5), []

    def choose(self, candidates):
        self.seen.extend(candidate for candidate in candidates if candidate not in self.seen)
        return self.lots.choice([request for request in self.seen if request in candidates])

    def explain(self, victim):
        return "by mood"


class Alternating:
    """A placement that keeps every other block that it is asked about."""

    name, summary = "alternating", ""

    def __init__(self):
        self.turns = itertools.count()

    def keeps(self, block):
        return next(self.turns) % 2 == 0

    def explain(self, block):
        return ""


class Fickle(Alternating):
    """A placement whose answer hangs on the block and on how often it was asked."""

    def keeps(self, block):
        return (next(self.turns) + block.serial) % 3 == 0


@pytest.mark.parametrize("host", [1, 2, 3, 12])
def test_a_placement_is_asked_in_the_order_of_the_step_and_no_more_often(model, host):
    placement = Fickle()
    options = {"num_host_blocks": host, "preemption": "recompute", "placement": placement}
    told, steps, _ = run(new_engine(model, **options), host, look=True)

    check_agreement(told, steps)
    assert any("SwappedOut" in preview.kinds for preview in told)


@pytest.mark.parametrize("eviction", ["random", "clock"])
def test_plug_ins_that_remember_how_often_they_were_asked(model, eviction):
    looks = [
        run(new_engine(model, eviction=eviction, victim=Moody(), placement=Alternating()), 3, look=look)
        for look in (True, False)
    ]

    assert looks[0][1] == looks[1][1]
    check_agreement(looks[0][0], looks[0][1])


def fingerprint(thing, known=None):
    """All that an object holds, as plain data."""
    known = {} if known is None else known
    if id(thing) in known:
        return known[id(thing)]
    known[id(thing)] = f"object {len(known)}"
    if isinstance(thing, dict):
        return [(fingerprint(key, known), fingerprint(value, known)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple, deque)):
        return [fingerprint(item, known) for item in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted(map(repr, thing))
    if isinstance(thing, random.Random):
        return thing.getstate()
    if type(thing).__module__.startswith("pagedviz"):
        names = getattr(thing, "__slots__", None) or vars(thing)
        return [type(thing).__name__, *((name, fingerprint(getattr(thing, name), known)) for name in names)]
    return repr(thing)


@pytest.mark.parametrize("eviction", LIVE)
def test_nothing_that_plans_is_touched(model, eviction):
    engine = new_engine(model, eviction=eviction, placement="reused")
    for prompt, shape in zip(PROMPTS, SHAPES, strict=True):
        engine.add_request(list(prompt), **{**GREEDY, **shape})
    core, kinds = engine._core, set()
    while engine.has_unfinished_requests():
        core.scheduler.plan()  # the names of waiting prompts' blocks are looked up once, and remembered
        whole = [core.scheduler, core.manager, core.requests, core.counters, core._pending, core.steps]
        before = fingerprint(whole)
        kinds.update(engine.preview().kinds)
        assert fingerprint(whole) == before
        engine.step()

    assert kinds == set(FORETOLD)


def test_nothing_to_do_is_told_as_nothing(model):
    engine = new_engine(model)

    assert engine.preview() == Preview(1)

    engine.generate([1, 2, 3], max_tokens=2)
    assert engine.preview() == Preview(3)


def test_numbers_of_a_first_step(model):
    engine = new_engine(model)
    engine.add_request(list(range(3, 12)))

    assert engine.preview() == Preview(1, num_blocks=3)


class Locked(Moody):
    def __deepcopy__(self, known):
        raise TypeError("cannot be copied")


def test_a_plug_in_that_cannot_be_copied_is_named_and_the_step_goes_through(model):
    engine = new_engine(model, victim=Locked())
    engine.add_request([1, 2, 3], **GREEDY)

    with pytest.raises(PolicyError, match=r"victim policy 'moody' cannot be copied to look ahead: TypeError"):
        engine.preview()

    engine.step()
    engine.audit()


class Raising(Alternating):
    def keeps(self, block):
        raise ZeroDivisionError


def test_a_placement_that_raises_is_named(model):
    engine = new_engine(model, num_device_blocks=8, placement=Raising())
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    engine.generate(list(PROMPTS[3][:17]), max_tokens=4)
    engine.add_request(list(PROMPTS[0]), **GREEDY)

    for act in (engine.preview, engine.step):
        with pytest.raises(PolicyError, match="placement policy 'alternating' raised ZeroDivisionError"):
            act()
    engine.audit()
    assert not of(events, SwappedOut)
