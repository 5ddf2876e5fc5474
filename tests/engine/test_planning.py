"""The scheduler by itself, on a block manager without a model: who is planned, who is preempted and how."""

import pytest

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.request import Request, RequestStatus, Sequence
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.engine.schedule.costs import CostModel
from pagedviz.engine.schedule.scheduler import Scheduler
from pagedviz.engine.schedule.victims import VICTIMS, Candidate
from pagedviz.memory import BlockManager, Swapper

SIZE = 4


class Plans:
    """A scheduler, and requests in the states that a test wants."""

    def __init__(self, blocks, host=0, **options):
        options = {"max_num_seqs": 8, "max_num_batched_tokens": 64, **options}
        config = EngineConfig(block_size=SIZE, num_device_blocks=blocks, num_host_blocks=host, **options)
        self.manager = BlockManager(blocks, SIZE, num_host_blocks=host, caching=config.prefix_caching)
        self.swapper = Swapper(self.manager)
        self.scheduler = Scheduler(config, self.manager, CostModel(), bytes_per_block=100)
        self.requests = []

    def add(self, tokens, num_prompt=None, **params):
        """A request that waits; without tokens of its own they are like nobody else's."""
        number = len(self.requests)
        ids = [1000 * (number + 1) + i for i in range(tokens)] if isinstance(tokens, int) else list(tokens)
        sampling = SamplingParams(**params)
        sequences = [
            Sequence(10 * number + index, index, num_prompt or len(ids), list(ids)) for index in range(sampling.n)
        ]
        request = Request(f"r{number}", None, tuple(ids[:num_prompt]), sampling, 0, 99, sequences, number=number)
        self.requests.append(request)
        self.scheduler.add(request)
        return request

    def run(self, tokens, computed=None, **params):
        """A request that runs, and has computed all of its tokens but the last."""
        request = self.add(tokens, **params)
        self.scheduler.admit(request)
        (sequence,) = request.sequences
        sequence.computed = len(sequence.tokens) - 1 if computed is None else computed
        self.manager.write(sequence.id, 0, sequence.computed, "prefill")
        self.manager.fill(sequence.id, sequence.tokens, sequence.computed)
        request.forked = True
        return request

    def plan(self):
        plan = self.scheduler.plan()
        assert self.scheduler.plan() == plan
        return plan

    def scheduled(self):
        return [(item.request.id, item.start, item.count) for item in self.plan().scheduled]


def admitted(plan):
    return [admission.request.id for admission in plan.admitted]


# -- who begins ---------------------------------------------------------------------------------------------------


def test_as_many_begin_as_there_are_seats():
    plans = Plans(blocks=20, max_num_seqs=3)
    plans.run(4)
    plans.add(4)
    plans.add(4)
    plans.add(4)
    assert admitted(plans.plan()) == ["r1", "r2"]


def test_every_sample_takes_a_seat():
    plans = Plans(blocks=20, max_num_seqs=4)
    plans.run(4)
    plans.add(4, n=3)
    plans.add(4)
    assert admitted(plans.plan()) == ["r1"]


def test_nobody_overtakes_a_request_that_waits_for_seats_or_blocks():
    seats = Plans(blocks=20, max_num_seqs=3)
    seats.run(4)
    seats.add(4, n=3)
    seats.add(4)
    assert admitted(seats.plan()) == []
    blocks = Plans(blocks=4)
    blocks.run(8)
    blocks.add(12)
    blocks.add(4)
    assert admitted(blocks.plan()) == []


@pytest.mark.parametrize(("blocks", "fits"), [(5, True), (4, False)])
def test_a_request_begins_when_all_that_is_known_of_everybody_fits(blocks, fits):
    """The one that runs has computed 3 of 9 tokens and needs 3 blocks in the end; the other one needs 2."""
    plans = Plans(blocks, max_num_batched_tokens=8)
    plans.run(9, computed=3)
    plans.add(8)
    assert (admitted(plans.plan()) == ["r1"]) == fits


@pytest.mark.parametrize(("blocks", "fits"), [(3, False), (4, True), (5, True)])
def test_samples_share_the_prompts_full_blocks_and_nothing_else(blocks, fits):
    """Of 6 tokens 4 fill a block that all share; each of the three needs a block of its own for what follows."""
    plans = Plans(blocks)
    plans.add(6, n=3)
    assert bool(admitted(plans.plan())) == fits


def test_what_is_left_of_the_budget_goes_to_those_who_begin():
    plans = Plans(blocks=40, max_num_batched_tokens=12)
    plans.run(5)
    plans.run(6)
    plans.add(7)
    plans.add(20)
    plans.add(3)
    assert plans.scheduled() == [("r0", 4, 1), ("r1", 5, 1), ("r2", 0, 7), ("r3", 0, 3)]
    assert admitted(plans.plan()) == ["r2", "r3"], "without budget nobody begins"


def test_a_prefix_in_either_tier_is_not_computed_and_what_comes_up_takes_blocks():
    plans = Plans(blocks=6, host=4)
    tokens = list(range(12))
    sequence = 900
    plans.manager.write(sequence, 0, 12, "prefill")
    plans.manager.fill(sequence, tokens, 12)
    plans.manager.release(sequence)
    plans.swapper.make_room(5)  # two of the three cached blocks go down
    plans.add([*tokens, 7])
    assert plans.scheduled() == [("r0", 12, 1)]
    plan = plans.plan()
    assert (plan.admitted[0].prefix.on_device, plan.admitted[0].prefix.found) == (1, 3)
    assert plan.num_blocks == 3, "two that come up, and one for the last token"


def test_two_that_find_the_same_block_below_bring_it_up_once():
    plans = Plans(blocks=6, host=4)
    tokens = list(range(4))
    plans.manager.write(900, 0, 4, "prefill")
    plans.manager.fill(900, tokens, 4)
    plans.manager.release(900)
    plans.swapper.make_room(6)
    plans.add([*tokens, 7])
    plans.add([*tokens, 8])
    assert plans.plan().num_blocks == 3


# -- who gives way ------------------------------------------------------------------------------------------------


def full(host=0, **options):
    """Three requests in six blocks, of which each has two and the first now needs a third."""
    plans = Plans(6, host, **{"preemption": "auto", **options})
    plans.run(9)
    plans.run(8)
    plans.run(8)
    return plans


def test_the_reason_names_who_needs_how_much_and_why_this_one():
    plans = full()
    plans.add(4)
    plan = plans.plan()
    assert [(item.request.id, item.mode) for item in plan.preempted] == [("r2", "recompute")]
    assert plan.preempted[0].reason == "r0 needs 1 block, and 0 of 6 are free; r2 came last"
    assert plan.admitted == (), "nobody begins in a step that preempts"
    assert [item.request.id for item in plan.scheduled] == ["r0", "r1"]
    assert plan.num_blocks == 1


def test_nobody_begins_in_a_step_that_preempts_though_there_is_room_again():
    plans = Plans(6)
    plans.run(9)
    plans.run(17, computed=16)
    plans.add(4)
    plan = plans.plan()
    assert [item.request.id for item in plan.preempted] == ["r1"]
    assert plan.admitted == ()


@pytest.mark.parametrize(("host", "mode"), [(2, "swap"), (1, "recompute")])
def test_a_victim_is_swapped_when_the_host_tier_has_room_to_the_block(host, mode):
    plans = full(host, preemption="swap")
    (preempted,) = plans.plan().preempted
    assert preempted.mode == mode
    short = "not swapped: it has 2 blocks, and of 1 block of the host 1 is free"
    assert preempted.reason.endswith(short) == (mode == "recompute")


def test_a_request_says_itself_how_it_is_preempted():
    plans = Plans(6, 4, preemption="swap")
    plans.run(9)
    plans.run(8)
    plans.run(8, preemption="recompute")
    assert [item.mode for item in plans.plan().preempted] == ["recompute"]


def test_one_after_the_other_gives_way_until_there_is_room():
    plans = Plans(7, 4, preemption="swap")
    plans.run(17, computed=4)  # needs four more blocks
    for _ in range(3):
        plans.run(5, computed=4)
    plan = plans.plan()
    assert [(item.request.id, item.mode) for item in plan.preempted] == [("r3", "swap"), ("r2", "swap")]
    assert plan.num_blocks == 5


def test_the_first_is_never_a_candidate():
    class Asked:
        seen = None

        def choose(self, candidates):
            self.seen = [candidate.request.id for candidate in candidates]
            return candidates[0]

        def explain(self, victim):
            return ""

    policy = Asked()
    plans = full(victim=policy)
    (preempted,) = plans.plan().preempted
    assert policy.seen == ["r1", "r2"]
    assert preempted.request.id == "r1"


@pytest.mark.parametrize(
    ("policy", "chosen"), [("newest", 3), ("fewest_tokens_lost", 2), ("largest", 3), ("priority", 2)]
)
def test_of_equals_the_newest_gives_way(policy, chosen):
    plans = Plans(20)
    requests = [plans.add(4, priority=priority) for priority in (0, 5, 5, 1)]
    tokens = (9, 3, 3, 9)
    candidates = [Candidate(request, count) for request, count in zip(requests, tokens, strict=True)]
    assert VICTIMS[policy]().choose(candidates) is candidates[chosen]


# -- queues -------------------------------------------------------------------------------------------------------


def test_who_was_preempted_waits_where_it_stood_and_runs_where_it_stood():
    plans = Plans(20)
    requests = [plans.run(4), plans.run(4), plans.run(4), plans.add(4)]
    scheduler = plans.scheduler
    scheduler.preempt(requests[2], RequestStatus.WAITING)
    scheduler.preempt(requests[1], RequestStatus.SWAPPED)
    assert scheduler.waiting == requests[1:]
    assert [request.status.value for request in requests] == ["running", "swapped", "waiting", "waiting"]
    scheduler.admit(requests[2])
    scheduler.admit(requests[1])
    assert scheduler.running == requests[:3]
