"""One model, many users at a time: engines on threads of their own, and its own ``generate`` beside them."""

import threading

import pytest
import torch
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


def offloaded(place, tied, folder):
    """Its weights lie in a dictionary (``cpu``) or on disk, and come for the length of a layer's forward."""
    accelerate = pytest.importorskip("accelerate")
    model = build(tie_word_embeddings=tied)
    if place == "cpu":
        return accelerate.cpu_offload(model, torch.device("cpu"), offload_buffers=True)
    parts = [
        *(f"model.{part}" for part in ("embed_tokens", "layers.0", "layers.1", "norm", "rotary_emb")),
        "lm_head",
    ]
    places = dict.fromkeys(parts, "disk")
    return accelerate.dispatch_model(model, places, main_device="cpu", offload_dir=str(folder))


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("place", ["cpu", "disk"])
def test_an_offloaded_model_has_many_users_too(tmp_path, place, tied):
    model = offloaded(place, tied, tmp_path)
    right = [theirs(build(tie_word_embeddings=tied), prompt) for prompt in PROMPTS[:6]]
    engines = [engine_of(model) for _ in range(2)]

    def alone():
        return [theirs(model, prompt) for prompt in PROMPTS[:6]]

    def again():
        return [ours(engine_of(model), [prompt])[0] for prompt in PROMPTS[:2]]

    running = [lambda engine=engine: ours(engine, PROMPTS[:6]) for engine in engines]
    assert together(*running, alone, again) == [right, right, right, right[:2]]
    for engine in engines:
        engine.audit()


def test_an_engine_is_made_while_an_offloaded_layer_has_its_weights(expected, monkeypatch, tmp_path):
    """They are brought for this forward only, and are nobody else's."""
    model = offloaded("cpu", False, tmp_path)
    embedding = torch.nn.functional.embedding
    made = []

    def making(*args, **kwargs):
        if not made:
            made.append(None)  # the engine tries itself: through here again
            made[0] = engine_of(model)
        return embedding(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "embedding", making)
    assert theirs(model, PROMPTS[0]) == expected[0]
    (engine,) = made
    assert ours(engine, PROMPTS[:6]) == expected[:6]
    assert ours(engine, PROMPTS[:6]) == expected[:6]
    assert engine.stats()["prefix_cache_hits"] > 0, "that they were taken away is no change"
    theirs_parameters = [id(part._parameters) for part in model.modules() if part._parameters]
    parts = engine._core.runner.model.model.modules()
    assert not {id(part._parameters) for part in parts if part._parameters} & set(theirs_parameters)


def test_two_at_a_time_in_an_offloaded_layer_keep_none_of_its_weights(monkeypatch, tmp_path):
    """accelerate's hooks note which tied weights they brought, to give them up after the layer."""
    model = offloaded("disk", True, tmp_path)
    right = theirs(model, PROMPTS[0], 4)
    engines = [engine_of(model) for _ in range(2)]
    both = threading.Barrier(2)
    embedding = torch.nn.functional.embedding

    def meeting(*args, **kwargs):
        both.wait(60)
        return embedding(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "embedding", meeting)
    running = [lambda engine=engine: ours(engine, PROMPTS[:1], 4) for engine in engines]
    assert together(*running) == [[right], [right]]
    modules = [
        part
        for each in (model, *(engine._core.runner.model.model for engine in engines))
        for part in each.modules()
    ]
    noted = [part._hf_hook.tied_params_map for part in modules if hasattr(part, "_hf_hook")]
    assert [kept for weights in noted for kept in weights.values() if kept] == []


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
