"""Beam search decides as transformers does, token for token, also among equals."""

import functools
import math

import pytest
import torch
from driving import beams_of_transformers

from pagedviz.engine.sampling.beam import advance
from pagedviz.engine.sampling.hypotheses import BeamState, Finished, best

PENALTIES = [0.0, 0.6, 1.0, 2.0, -1.0]
STOPPING = [False, True, "never"]


def run(logits_of, **rules):
    """Search to the end: the finished beams, and for each the index of the beam it was in before each step."""
    state, paths, ended = BeamState(), [()], {}
    for _ in range(rules["max_tokens"]):
        known = {beam.tokens: (*path, at) for at, (beam, path) in enumerate(zip(state.running, paths, strict=True))}
        step = advance(state, logits_of([beam.tokens for beam in state.running]), **rules)
        for beam in step.state.finished:
            ended.setdefault(beam.tokens, known.get(beam.tokens[:-1]))
        for parent, token, beam in zip(step.parents, step.tokens, step.state.running, strict=True):
            assert beam.tokens == (*state.running[parent].tokens, token)
        paths = [(*paths[parent], parent) for parent in step.parents]
        state = step.state
        if step.done:
            break
    assert step.done
    found = best(state, rules["width"])
    return found, [ended[beam.tokens] for beam in found]


def check(found, expected, eos, tolerance):
    beams, paths = found
    tokens, scores, expected_paths = expected
    assert [beam.tokens for beam in beams] == tokens
    assert [beam.score for beam in beams] == pytest.approx(scores, rel=tolerance / 10, abs=tolerance)
    assert paths == expected_paths
    assert [beam.finish_reason for beam in beams] == ["stop" if row[-1] in eos else "length" for row in tokens]


# -- a model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dense(tiny):
    """``dense(prompt)``: the tiny Llama's logits after a prompt and tokens; every prefix computed as a whole."""
    model, known = tiny("llama"), {}

    def logits_of(prompt, many):
        new = [tokens for tokens in many if (prompt, tokens) not in known]
        if new:
            with torch.inference_mode():
                rows = model(torch.tensor([[*prompt, *tokens] for tokens in new]), use_cache=False).logits[:, -1]
            known.update(((prompt, tokens), row.clone()) for tokens, row in zip(new, rows, strict=True))
        return torch.stack([known[prompt, tokens] for tokens in many])

    return lambda prompt: functools.partial(logits_of, tuple(prompt))


@pytest.mark.parametrize("early_stopping", STOPPING)
@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_model_writes_what_it_writes_in_transformers(
    tiny, dense, make_prompt, width, length_penalty, early_stopping
):
    case = PENALTIES.index(length_penalty) + 5 * STOPPING.index(early_stopping)
    for seed, max_tokens in enumerate((1 + case, 20 - case)):
        prompt = make_prompt(5 + case, seed)
        liked, _ = run(dense(prompt), width=width, max_tokens=12)
        for eos in ((), (liked[0].tokens[3 % max_tokens],), (liked[-1].tokens[1], liked[0].tokens[7], 5)):
            options = {"length_penalty": length_penalty, "early_stopping": early_stopping}
            rules = {"width": width, "max_tokens": max_tokens, "eos": eos, **options}
            check(run(dense(prompt), **rules), beams_of_transformers(tiny("llama"), prompt, **rules), eos, 1e-4)


# -- numbers, many of them equal --------------------------------------------------------------------------------


class Table:
    """Random logits for every sequence of tokens, many equal; ``process`` puts them in place of a model's."""

    def __init__(self, prompt, size, seed, eos=(), step=0.5):
        self.prompt, self.size, self.seed, self.eos, self.step = len(prompt), size, seed, list(eos), step

    @functools.cache  # noqa: B019
    def row(self, tokens):
        generator = torch.Generator().manual_seed(hash((self.seed, tokens)) % 2**31)
        row = torch.randn(self.size, generator=generator) * 2
        row[self.eos] += 1.5
        return (row * 2).round() * self.step

    def __call__(self, many, _=None):
        return torch.stack([self.row(tokens) for tokens in many])

    def process(self, ids, scores):
        return self([tuple(row) for row in ids[:, self.prompt :].tolist()]).log_softmax(-1)


@pytest.mark.parametrize("early_stopping", STOPPING)
@pytest.mark.parametrize("length_penalty", PENALTIES)
def test_equals_come_in_the_order_of_transformers(new_tiny, length_penalty, early_stopping):
    size, prompt = 31, [3, 1, 4]
    model = new_tiny("llama", vocab_size=size, num_hidden_layers=1, hidden_size=8, intermediate_size=8)
    for seed in range(12):
        eos = range(7, 7 + seed % 4)
        table = Table(prompt, size, seed, eos, (0.5, 4.0)[seed % 2])
        options = {"length_penalty": length_penalty, "early_stopping": early_stopping}
        rules = {"width": 2 + seed % 5, "max_tokens": 1 + seed * 5 % 13, "eos": eos, **options}
        check(
            run(table, **rules),
            beams_of_transformers(model, prompt, **rules, logits_processor=[table.process]),
            eos,
            0,
        )


# -- by hand ----------------------------------------------------------------------------------------------------

END = 0
CHANCES = {
    (): [0.1, 0.6, 0.3],  # 0 ends, but is the third of a search of width 2: it may not finish
    (1,): [0.5, 0.3, 0.2],
    (2,): [0.9, 0.05, 0.05],
    (1, 1): [0.9, 0.05, 0.05],
    (1, 2): [0.1, 0.1, 0.8],
}


def by_hand(many):
    return torch.tensor([CHANCES[tokens] for tokens in many], dtype=torch.float64).log()


def finished(tokens, chance, reason="stop", power=1.0):
    return Finished(
        tokens, pytest.approx(math.log(chance)), pytest.approx(math.log(chance) / len(tokens) ** power), reason
    )


def test_two_beams_by_hand():
    rules = {"width": 2, "max_tokens": 3, "eos": {END}}
    first = advance(BeamState(), by_hand([()]), **rules)
    assert (first.parents, first.tokens, first.state.finished, first.done) == ((0, 0), (1, 2), (), False)

    logits = by_hand([(1,), (2,)])
    ended = (finished((1, END), 0.3), finished((2, END), 0.27))
    for stopping in (False, True):  # 1 1 has log(0.18) / 2, less than both
        second = advance(first.state, logits, early_stopping=stopping, **rules)
        assert (second.parents, second.tokens, second.done) == ((), (), True)
        assert best(second.state, 2) == ended
        assert best(second.state, 1) == ended[:1]

    second = advance(first.state, logits, early_stopping="never", **rules)  # but log(0.18) / 3 is more
    assert (second.parents, second.tokens, second.done) == ((0, 0), (1, 2), False)
    assert second.state.finished == ended

    third = advance(second.state, by_hand([(1, 1), (1, 2)]), early_stopping="never", **rules)
    assert third.done
    assert best(third.state, 2) == (ended[0], finished((1, 1, END), 0.162))


def test_at_the_last_token_all_beams_finish():
    step = advance(BeamState(), by_hand([()]), width=3, max_tokens=1, eos={END})
    assert step.done
    reasons = [finished((1,), 0.6, "length"), finished((2,), 0.3, "length"), finished((END,), 0.1)]
    assert best(step.state, 3) == tuple(reasons)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_beam_is_greedy_if_it_stops_at_its_first_end(dtype):
    def logits_of(many):
        generators = [torch.Generator().manual_seed(hash(tokens) % 2**31) for tokens in many]
        return torch.stack([torch.randperm(50, generator=generator) for generator in generators]).to(dtype) / 8

    eos, greedy = set(range(8)), []
    while not eos.intersection(greedy):
        greedy.append(int(logits_of([tuple(greedy)]).argmax()))
    found, _ = run(logits_of, width=1, max_tokens=99, eos=eos, early_stopping=True)
    assert found[0].tokens == tuple(greedy)
    found, _ = run(logits_of, width=1, max_tokens=len(greedy) - 1)
    assert found[0].tokens == tuple(greedy[:-1])


def test_impossible_tokens_are_no_candidates():
    only = torch.full((1, 6), -math.inf)
    only[0, [2, 4]] = torch.tensor([1.0, 0.0])
    step = advance(BeamState(), only, width=4, max_tokens=9, eos={4})
    assert (step.parents, step.tokens, step.done) == ((0,), (2,), False)
    step = advance(step.state, only, width=4, max_tokens=2, eos={4})
    assert [beam.tokens for beam in best(step.state, 4)] == [(2, 2), (2, 4), (4,)]

    step = advance(BeamState(), only, width=4, max_tokens=9, eos={2, 4})
    assert step.done  # nothing is left to go on with
    assert [beam.tokens for beam in best(step.state, 4)] == [(2,), (4,)]


def test_scores_of_any_size_are_ranked():
    table, state, done = Table((), 31, 0, [9]), BeamState(), False
    while not done:
        logits = table([beam.tokens for beam in state.running])
        step = advance(state, logits, width=3, max_tokens=12, eos={9}, length_penalty=-12.0)
        state, done = step.state, step.done
    assert len(state.finished) == 3
    assert list(state.finished) == sorted(state.finished, key=lambda beam: -beam.score)


def test_broken_logits_give_some_beams():
    found, _ = run(lambda many: torch.full((len(many), 11), math.nan), width=3, max_tokens=5)
    assert [len(beam.tokens) for beam in found] == [5, 5, 5]
