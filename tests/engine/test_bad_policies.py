"""Policies and parameters at fault: told by name, and the engine goes on."""

import itertools
import re

import pytest
from driving import COUNT, GREEDY, PROMPTS, SIZE, drive, of, run, same

import pagedviz as pv
from pagedviz.errors import PolicyError
from pagedviz.events import (
    BlockEvicted,
    RequestPreempted,
)
from pagedviz.memory import POLICIES

LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)


def test_a_host_tier_too_small_for_a_swap_falls_back_and_says_so(watched, model, make_prompt, reference):
    engine, events = watched(
        num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=2, preemption="swap", placement="never"
    )
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(3)]
    outputs, _ = drive(engine, ids)
    for i, output in enumerate(outputs):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)
    preempted = of(events, RequestPreempted)
    assert preempted
    for event in preempted:
        assert event.mode == "recompute"
        assert "not swapped: it has " in event.reason
        assert "of 2 blocks of the host 2 are free" in event.reason


class Bad:
    """An eviction policy with one fault; else the first candidate goes first."""

    name = "bad"

    def __init__(self, fault):
        self.fault, self.blocks, self.armed = fault, {}, False

    def fails(self, where):
        if self.armed and self.fault == where:
            raise ZeroDivisionError(where)

    def add(self, block):
        self.blocks[block.block] = block
        self.fails("add raises")

    def remove(self, block, evicted):
        del self.blocks[block.block]
        self.fails("remove raises")

    def victims(self, count):
        self.fails("victims raises")
        chosen = list(self.blocks)[:count]
        if self.armed:
            chosen = {
                "busy": [self.busy, *chosen[1:]],
                "stranger": [10**6, *chosen[1:]],
                "negative": [-1, *chosen[1:]],
                "text": ["0", *chosen[1:]],
                "list": [[0], *chosen[1:]],
                "nothing": None,
                "duplicate": [chosen[0]] * (count + 1),
                "too few": chosen[:-1],
                "too many": [*chosen, *chosen],
                "endless": itertools.count(),
                "the block itself": [self.blocks[number] for number in chosen],
            }.get(self.fault, chosen)
        return chosen

    def explain(self, block):
        self.fails("explain raises")
        return None if self.armed and self.fault == "explains nothing" else "it is there"


FAULTS = [
    "busy", "stranger", "negative", "text", "list", "nothing", "duplicate", "too few", "too many", "endless",
    "the block itself", "victims raises", "explain raises", "explains nothing", "add raises", "remove raises",
]  # fmt: skip


@pytest.mark.parametrize("host", [0, 6])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_eviction_policy_is_named_and_the_engine_stays_usable(watched, model, reference, fault, host):
    policy = Bad(fault)
    engine, _ = watched(num_device_blocks=14, num_host_blocks=host, eviction=policy)
    run(engine, PROMPTS[3][:17])
    run(engine, PROMPTS[0][:9])
    ids = [engine.add_request(list(PROMPTS[1]), **{**GREEDY, "max_tokens": 20})]
    engine.step()
    policy.busy = engine.snapshot().sequences[2].tables[0][0][1]
    policy.armed = True
    ids.append(engine.add_request(list(PROMPTS[2]), **GREEDY))  # finds two blocks
    ids.append(engine.add_request(list(PROMPTS[5]), **GREEDY))  # finds others
    told, last = [], {}
    while len(told) < 3:
        try:
            last |= {output.request_id: output for output in engine.step()}
        except PolicyError as error:
            told.append(str(error))
        engine.audit()
        assert engine.has_unfinished_requests(), "nothing was evicted"
    assert all("'bad'" in message for message in told)
    words = {"the block itself": "must be a block id", "explains nothing": "None: must be a text"}.get(fault, "")
    assert all(words in message for message in told)
    extra = engine.add_request([1, 2, 3], **GREEDY)
    assert engine.abort(extra)
    engine.audit()
    engine.change_eviction("lru")
    unfinished = engine.unfinished_request_ids()
    last |= dict(zip(unfinished, drive(engine, unfinished)[0], strict=True))
    for name, prompt in zip(ids, [PROMPTS[1], PROMPTS[2], PROMPTS[5]], strict=True):
        assert last[name].finished
        assert same(list(last[name].outputs[0].token_ids), model, prompt, reference)
    assert engine.stats()["num_free_blocks"] == 14


def test_steps_that_evict_nothing_go_on_with_a_broken_policy(watched, model, reference):
    policy = Bad("victims raises")
    policy.armed = True
    engine, _ = watched(num_device_blocks=12, eviction=policy)
    run(engine, PROMPTS[3][:9])
    found = run(engine, PROMPTS[1], COUNT)
    assert same(found, model, PROMPTS[1], reference)
    with pytest.raises(PolicyError):
        run(engine, tuple(range(100, 141)))
    engine.audit()
    assert engine.abort(engine.unfinished_request_ids()[0])
    engine.audit()
    assert same(run(engine, PROMPTS[1], COUNT), model, PROMPTS[1], reference)


class BadPlacement:
    name, summary = "bad placement", ""

    def __init__(self):
        self.fails = True

    def keeps(self, block):
        if self.fails:
            raise ZeroDivisionError
        return True

    def explain(self, block):
        return self.words


@pytest.mark.parametrize("fault", ["raises", "explains nothing"])
def test_a_bad_placement_is_named_and_nothing_is_evicted(watched, model, reference, fault):
    placement = BadPlacement()
    placement.fails, placement.words = fault == "raises", "" if fault == "raises" else None
    engine, events = watched(num_device_blocks=8, num_host_blocks=9, placement=placement)
    run(engine, PROMPTS[3][:17])
    name = engine.add_request(list(PROMPTS[0]), **GREEDY)
    for _ in range(3):
        with pytest.raises(PolicyError, match="'bad placement'"):
            engine.step()
        engine.audit()
        assert not of(events, BlockEvicted)
    placement.fails, placement.words = False, ""
    (output,), _ = drive(engine, [name])
    assert same(list(output.outputs[0].token_ids), model, PROMPTS[0], reference)


class BadVictim:
    name, summary = "bad victim", ""

    def __init__(self, fault):
        self.fault = fault

    def choose(self, candidates):
        if self.fault == "raises":
            raise ZeroDivisionError
        answers = {"stranger": "r0", "nothing": None, "list": list(candidates)}
        return answers.get(self.fault, candidates[-1])

    def explain(self, victim):
        if self.fault == "explain raises":
            raise ZeroDivisionError
        return None if self.fault == "explains nothing" else "it was last"


@pytest.mark.parametrize("fault", ["raises", "explain raises", "explains nothing", "stranger", "nothing", "list"])
def test_a_bad_victim_policy_is_named_and_the_engine_stays_usable(watched, model, make_prompt, reference, fault):
    policy = BadVictim(fault)
    engine, _ = watched(num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=9, victim=policy)
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(3)]
    told = []
    while len(told) < 3:
        try:
            engine.step()
        except PolicyError as error:
            told.append(str(error))
        engine.audit()
    assert all("'bad victim'" in message for message in told)
    assert engine.abort(ids[2])
    engine.audit()
    policy.fault = ""
    for i, output in enumerate(drive(engine, ids[:2])[0]):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)


EXCLUDED = {
    "temperature": 0.7,
    "top_k": 3,
    "top_p": 0.5,
    "min_p": 0.1,
    "repetition_penalty": 1.2,
    "best_of": 4,
    "logprobs": 2,
    "stop": "x",
}


@pytest.mark.parametrize("option", EXCLUDED)
def test_beams_exclude_what_draws_lots(option):
    with pytest.raises(pv.RequestError, match=f"excludes {option}="):
        pv.SamplingParams(**{"beam_width": 3, option: EXCLUDED[option]})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beam_width": 0}, "beam_width=0"),
        ({"beam_width": 2, "n": 3}, "beam_width=2 is less than n=3"),
        ({"beam_width": 2.0}, "beam_width=2.0"),
        ({"best_of": 1, "n": 2}, "best_of=1 is less than n=2"),
        ({"length_penalty": 2.0}, "length_penalty=2.0 without beam_width"),
        ({"early_stopping": "never"}, "early_stopping='never' without beam_width"),
        ({"length_penalty": float("nan")}, "length_penalty=nan"),
        ({"early_stopping": "always"}, "early_stopping='always'"),
        ({"early_stopping": ["never"]}, "early_stopping"),
        ({"early_stopping": 1, "beam_width": 2}, "early_stopping=1"),
        ({"early_stopping": 0.0, "beam_width": 2}, "early_stopping=0.0"),
        ({"preemption": "swop"}, "preemption='swop'"),
        ({"preemption": ["swap"]}, "preemption"),
        ({"priority": 1.5}, "priority=1.5"),
        ({"priority": True}, "priority=True"),
        ({"cache_salt": 5}, "cache_salt=5"),
        ({"cache_salt": b"x"}, "cache_salt"),
    ],
    ids=str,
)
def test_a_bad_parameter_is_told(params, message):
    with pytest.raises(pv.RequestError, match=message):
        pv.SamplingParams(**params)


def test_what_a_pool_can_never_hold_is_told(tiny):
    engine = pv.Engine(tiny("gemma3"), block_size=SIZE, num_device_blocks=9, num_host_blocks=100)
    with pytest.raises(pv.RequestError, match="more than 16"):
        engine.add_request([3] * 17)
    with pytest.raises(pv.RequestError, match="beam_width=3"):
        engine.add_request([3] * 9, beam_width=3, temperature=0.0, max_tokens=12)
    with pytest.raises(pv.RequestError, match="best_of=3"):
        engine.add_request([3] * 9, best_of=3, max_tokens=12)
    assert not engine.has_unfinished_requests()
    engine.audit()


def test_swaps_need_a_host_tier(model):
    with pytest.raises(pv.ConfigError, match="preemption='swap' needs a host tier: num_host_blocks above 0"):
        pv.Engine(model, preemption="swap")
    engine = pv.Engine(model)
    with pytest.raises(pv.RequestError, match="preemption='swap' needs a host tier"):
        engine.add_request([1, 2, 3], preemption="swap")
    assert not engine.has_unfinished_requests()


@pytest.mark.parametrize("width", ["beam_width", "best_of", "n"])
def test_the_pool_shortens_no_sequences_that_run_together(model, width):
    engine = pv.Engine(model, block_size=1, num_device_blocks=14)
    with pytest.raises(pv.RequestError, match=f"{width}=4: so many sequences of up to 19 tokens need 30 blocks"):
        engine.generate([3] * 14, max_tokens=5, **{width: 4})
    for params in ({"max_tokens": 5}, {"max_tokens": None, width: 4}):
        output = engine.generate([3] * 14, ignore_eos=True, **params)[0]
        assert len(output.outputs[0].token_ids) == 1


def test_one_beam_has_a_cumulative_logprob_too(model):
    engine = pv.Engine(model)
    (sample,) = engine.generate([3] * 5, max_tokens=4, beam_width=1)[0].outputs
    (other,) = engine.generate([3] * 5, max_tokens=4, temperature=0.0, logprobs=0)[0].outputs
    assert sample.cumulative_logprob == pytest.approx(other.cumulative_logprob)
    assert sample.cumulative_logprob < 0


class Surrogate(Bad):
    name = "half \ud800"

    def explain(self, block):
        return "half \ud800 of it"


def test_words_that_no_file_can_hold_are_made_so_that_it_can(model, tmp_path):
    engine = pv.Engine(model, block_size=4, num_device_blocks=6, eviction=Surrogate(""))
    with pv.record(engine) as recording:
        engine.generate([list(range(10, 27)), list(range(60, 77))], max_tokens=1)
    recording.trace.save(tmp_path / "run.pvtrace")
    evicted = of(pv.Trace.load(tmp_path / "run.pvtrace").events, BlockEvicted)
    assert {(event.policy, event.why) for event in evicted} == {("half \\ud800", "half \\ud800 of it")}


@pytest.mark.parametrize("name", LIVE)
def test_a_policy_may_be_changed_for_itself(model, name):
    policy = POLICIES[name](12)
    engine = pv.Engine(model, block_size=4, num_device_blocks=12, eviction=policy)
    engine.generate([list(range(2, 40))], max_tokens=1)
    engine.change_eviction(policy)
    engine.generate([list(range(60, 100))], max_tokens=1)
    engine.audit()


def test_without_a_cache_there_is_no_policy_to_change(model):
    with pytest.raises(pv.ConfigError, match="prefix_caching"):
        pv.Engine(model, prefix_caching=False).change_eviction("arc")


class Renamed(Bad):
    """Arguments are given by position."""

    def remove(self, it, gone):
        super().remove(it, gone)


class Forgetful(Bad):
    def remove(self, block):
        del self.blocks[block.block]


class Uncounted(Bad):
    def victims(self):
        return []


class OldPlacement(BadPlacement):
    def explain(self):
        return ""


class Choosy(BadVictim):
    def choose(self, candidates, mood):
        return candidates[mood]


SIGNATURES = {
    "eviction: Forgetful.remove(block) cannot be called as remove(block, evicted)": {"eviction": Forgetful("")},
    "eviction: Uncounted.victims() cannot be called as victims(count)": {"eviction": Uncounted("")},
    "placement: OldPlacement.explain() cannot be called as explain(block)": {"placement": OldPlacement()},
    "victim: Choosy.choose(candidates, mood) cannot be called as choose(candidates)": {"victim": Choosy("")},
}


@pytest.mark.parametrize("message", SIGNATURES)
def test_a_method_that_cannot_be_called_is_told_at_once(model, message):
    with pytest.raises(pv.ConfigError, match=re.escape(message)):
        pv.Engine(model, **SIGNATURES[message])


def test_the_names_of_a_policys_arguments_are_its_own(model):
    engine = pv.Engine(model, block_size=4, num_device_blocks=6, eviction=Renamed(""))
    engine.generate([list(range(10, 27)), list(range(60, 77))], max_tokens=1)
    assert engine.stats()["evicted_blocks"]
