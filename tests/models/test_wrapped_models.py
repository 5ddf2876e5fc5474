"""Models as users have them: compiled, adapted, offloaded, in training: the plain model's tokens, or why not."""

import functools
import types

import pytest
import torch
from tiny_llama import PROMPTS, build, engine_of, ours, theirs

import pagedviz as pv

SOME = PROMPTS[:4]


@pytest.fixture(scope="module")
def expected():
    model = build()
    return [theirs(model, prompt) for prompt in SOME]


def compiled(model):
    return torch.compile(model, backend="eager")


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


def compiled_layers(model):
    for layer in model.model.layers:
        layer.compile(backend="eager")
    return model


def compiled_forward(model):
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def parallel(model):
    return torch.nn.DataParallel(model)


def training(model):
    return model.train()


def bound(model):
    """As accelerate's mixed precision does."""
    own = type(model).forward

    def forward(self, *args, **kwargs):
        return own(self, *args, **kwargs)

    model.forward = types.MethodType(forward, model)
    return model


def partially(model):
    """As accelerate's hooks do."""

    def forward(part, *args, **kwargs):
        return part._old_forward(*args, **kwargs)

    for part in model.modules():
        part._old_forward = part.forward
        part.forward = functools.update_wrapper(functools.partial(forward, part), part._old_forward)
    return model


def offloaded(model):
    accelerate = pytest.importorskip("accelerate")
    return accelerate.cpu_offload(model, torch.device("cpu"), offload_buffers=True)


def dispatched(model, folder):
    accelerate = pytest.importorskip("accelerate")
    places = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
    places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "disk"}
    return accelerate.dispatch_model(model, places, main_device="cpu", offload_dir=str(folder))


WRAPPERS = [
    compiled,
    compiled_in_place,
    compiled_layers,
    compiled_forward,
    parallel,
    training,
    bound,
    partially,
    offloaded,
]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: wrap.__name__)
def test_a_wrapped_model_writes_what_the_plain_one_does(expected, wrap):
    model = wrap(build(attention_dropout=0.5))
    engine = engine_of(model)
    assert engine.model is model
    assert ours(engine, SOME) == expected
    assert ours(engine, SOME) == expected  # now from the cache: nothing was mistaken for a change
    assert engine.stats()["prefix_cache_hits"] > 0
    engine.audit()


@pytest.fixture
def group():
    """A group of one process."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of torch has no torch.distributed")
def test_a_model_that_several_processes_train(expected, group):
    model = torch.nn.parallel.DistributedDataParallel(build())
    engine = engine_of(model)
    assert engine.model is model
    assert ours(engine, SOME) == expected
    model(input_ids=torch.tensor([SOME[0]]), labels=torch.tensor([SOME[0]])).loss.backward()
    assert ours(engine, SOME) == expected
    assert engine.stats()["prefix_cache_hits"] > 0, "gradients change no weights"
    engine.audit()


def test_weights_on_disk(expected, tmp_path):
    engine = engine_of(dispatched(build(), tmp_path))
    assert ours(engine, SOME) == expected
    assert ours(engine, SOME) == expected
    assert engine.stats()["prefix_cache_hits"] > 0


def test_layers_on_several_devices_are_refused(tmp_path):
    model = dispatched(build(), tmp_path)
    model.model.layers[1]._hf_hook.execution_device = torch.device("meta")
    with pytest.raises(pv.ModelError, match="run on cpu, meta"):
        engine_of(model)


def test_a_model_without_weights_is_refused():
    with pytest.raises(pv.ModelError, match="has no weights"):
        engine_of(build().to("meta"))


@pytest.mark.parametrize("around", ["construction", "generate", "both"])
def test_autocast_does_not_reach_the_layers(expected, around):
    model = build()
    with torch.autocast("cpu", torch.bfloat16, enabled=around != "generate"):
        engine = engine_of(model)
    with torch.autocast("cpu", torch.bfloat16, enabled=around != "construction"):
        assert ours(engine, SOME) == expected


def test_training_goes_on_between_two_calls(expected):
    model = build(attention_dropout=0.5)
    engine = engine_of(model)
    model.train()
    assert ours(engine, SOME) == expected
    assert model.training
    assert all(part.training for part in model.modules())


def test_a_forward_that_calls_the_model_itself_is_refused_with_the_reason():
    model = build()
    forward = model.forward

    def timed(*args, **kwargs):
        return forward(*args, **kwargs)

    model.forward = timed
    with pytest.raises(pv.ModelError, match=r"LlamaForCausalLM\.forward was replaced by the function timed"):
        engine_of(model)


class Wrapper(torch.nn.Module):
    """Somebody's own."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_what_is_no_transformers_model_is_told_what_to_pass():
    with pytest.raises(pv.ModelError, match=r"wraps LlamaForCausalLM: pass its \.module"):
        engine_of(Wrapper(build()))
    with pytest.raises(pv.ModelError, match="is no transformers model"):
        engine_of(torch.nn.Linear(2, 2))


def test_hooks_of_the_model_are_called():
    model = build()
    engine = engine_of(model)
    seen = []
    handle = model.model.layers[1].register_forward_hook(lambda module, args, output: seen.append(module.training))
    engine.generate(SOME[0], max_tokens=3)
    assert seen == [False] * 3
    handle.remove()
    engine.generate(SOME[1], max_tokens=3)
    assert len(seen) == 3


# -- adapters -------------------------------------------------------------------------------------------------


old_names = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
"""PEFT asks transformers by an old name."""


@pytest.fixture
def peft():
    return pytest.importorskip("peft")


def lora(peft, seed=0, **changes):
    config = peft.LoraConfig(
        **{"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"], "lora_dropout": 0.5}
        | {"task_type": "CAUSAL_LM", "init_lora_weights": False}
        | changes
    )
    torch.manual_seed(seed)
    return config


@old_names
@pytest.mark.parametrize("also", [lambda model: model, compiled, training], ids=["plain", "compiled", "training"])
def test_an_adapted_model_writes_what_it_writes_itself(peft, expected, also):
    model = peft.get_peft_model(build(), lora(peft)).eval()
    own = [theirs(model, prompt) for prompt in SOME]
    assert own != expected
    engine = engine_of(also(model))
    assert ours(engine, SOME) == own
    assert ours(engine, SOME) == own
    assert engine.stats()["prefix_cache_hits"] > 0


@old_names
def test_learned_prompts_are_refused(peft):
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with pytest.raises(pv.ModelError, match="PROMPT_TUNING puts learned tokens before every prompt"):
        engine_of(peft.get_peft_model(build(), config))
