"""One model, many users at a time: engines on threads of their own, and its own ``generate`` beside them."""

import threading

import pytest
import torch
import transformers

import pagedviz as pv

PROMPTS = [[2 + (31 * at + 7 * i + at * i) % 97 for i in range(3 + at % 9)] for at in range(40)]
LENGTH = 12


def build(**changes):
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=None,
        **changes,
    )
    return transformers.LlamaForCausalLM(config).eval()


def theirs(model, prompt, count=LENGTH):
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        found = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0
        )
    return found[0, len(prompt) :].tolist()


def ours(engine, prompts, count=LENGTH):
    outputs = engine.generate(prompts, max_tokens=count, temperature=0)
    return [list(output.outputs[0].token_ids) for output in outputs]


def together(*works):
    """Run them on a thread each, all at once; what they returned, or the first error."""
    barrier = threading.Barrier(len(works))
    results, errors = [None] * len(works), []

    def run(index, work):
        try:
            barrier.wait(60)
            results[index] = work()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


@pytest.fixture(scope="module")
def expected():
    model = build()
    return [theirs(model, prompt) for prompt in PROMPTS]


def test_two_engines_and_generate_use_one_model_on_three_threads(expected):
    model = build()
    engines = [pv.Engine(model, block_size=4, num_device_blocks=256) for _ in range(2)]

    def alone():
        return [theirs(model, prompt) for prompt in PROMPTS[:12]]

    first, second, own = together(lambda: ours(engines[0], PROMPTS), lambda: ours(engines[1], PROMPTS[::-1]), alone)
    assert first == expected
    assert second == expected[::-1]
    assert own == expected[:12]
    for engine in engines:
        engine.audit()
    assert ours(pv.Engine(model, num_device_blocks=64), PROMPTS[:2]) == expected[:2]
    assert theirs(model, PROMPTS[0]) == expected[0]


def test_engines_are_made_while_others_run(expected):
    """As when a cell is run again."""
    model = build()
    engine = pv.Engine(model, block_size=4, num_device_blocks=256)

    def again():
        return [ours(pv.Engine(model, block_size=4, num_device_blocks=64), [prompt])[0] for prompt in PROMPTS[:6]]

    running, made = together(lambda: ours(engine, PROMPTS), again)
    assert running == expected
    assert made == expected[:6]


class Guarded(transformers.LlamaConfig):
    """Tells of every attribute that is set."""

    told = None

    def __setattr__(self, name, value):
        if Guarded.told is not None:
            Guarded.told.append((id(self), name))
        super().__setattr__(name, value)


def contents(model):
    """Everything that hangs on the model, by identity; the modules' own attributes and the configuration's."""
    return [
        *({name: id(value) for name, value in vars(part).items()} for part in (*model.modules(), model.config)),
        *(list(map(id, (*part._modules.values(), *part._parameters.values()))) for part in model.modules()),
        *(hook for part in model.modules() for hook in part._forward_hooks),
        model.config.to_dict(),
    ]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_nothing_of_the_model_is_written(expected, monkeypatch, training):
    model = build(output_hidden_states=True, attention_dropout=0.5).train(training)
    model.config.__class__ = Guarded
    before = contents(model)
    monkeypatch.setattr(Guarded, "told", [])
    engine = pv.Engine(model, block_size=4, num_device_blocks=128)
    assert ours(engine, PROMPTS[:3]) == expected[:3]
    assert contents(model) == before
    assert [name for where, name in Guarded.told if where == id(model.config)] == []
    assert engine.model is model
    assert model.training is training
