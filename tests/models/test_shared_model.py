"""One model, many users at a time: engines on threads of their own, and its own ``generate`` beside them."""

import threading

import pytest
import transformers
from tiny_llama import PROMPTS, build, engine_of, ours, theirs


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
    engines = [engine_of(model) for _ in range(2)]

    def alone():
        return [theirs(model, prompt) for prompt in PROMPTS[:12]]

    first, second, own = together(lambda: ours(engines[0], PROMPTS), lambda: ours(engines[1], PROMPTS[::-1]), alone)
    assert first == expected
    assert second == expected[::-1]
    assert own == expected[:12]
    for engine in engines:
        engine.audit()
    assert ours(engine_of(model), PROMPTS[:2]) == expected[:2]
    assert theirs(model, PROMPTS[0]) == expected[0]


def test_engines_are_made_while_others_run(expected):
    """As when a cell is run again."""
    model = build()
    engine = engine_of(model)

    def again():
        return [ours(engine_of(model), [prompt])[0] for prompt in PROMPTS[:6]]

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
    engine = engine_of(model)
    assert ours(engine, PROMPTS[:3]) == expected[:3]
    assert contents(model) == before
    assert [name for where, name in Guarded.told if where == id(model.config)] == []
    assert engine.model is model
    assert model.training is training
