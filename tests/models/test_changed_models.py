"""What a model computed before it was changed is not found afterwards, and the engine runs it as it is now."""

import re

import pytest
import torch
from tiny_llama import PROMPTS, build, engine_of, ours, theirs

import pagedviz as pv
from pagedviz.events import PrefixCacheReset, PrefixHit, RequestScheduled

SYSTEM = [7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53]
"""Three full blocks and a token, before every prompt."""
SOME = [SYSTEM + prompt for prompt in PROMPTS[:3]]


def written(model):
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(-1)


def trained(model):
    loss = model(torch.tensor([SYSTEM]), labels=torch.tensor([SYSTEM])).loss
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()


def loaded(model):
    model.load_state_dict(build(seed=4).state_dict())


def loaded_anew(model):
    model.load_state_dict(build(seed=4).state_dict(), assign=True)


def given_other_data(model):
    weight = model.model.layers[1].mlp.up_proj.weight
    weight.data = -weight.data


def given_a_parameter(model):
    layer = model.model.layers[1].mlp.up_proj
    layer.weight = torch.nn.Parameter(-layer.weight.detach())


def given_a_module(model):
    model.model.layers[1] = build(seed=4).model.layers[1]


def given_a_bias(model):
    model.lm_head.bias = torch.nn.Parameter(torch.linspace(-3, 3, 100))


CHANGES = [
    (written, r"the weight model\.layers\.0\.self_attn\.k_proj\.weight was written"),
    (trained, r"21 weights were written, model\.embed_tokens\.weight first"),
    (loaded, r"weights were written"),
    (loaded_anew, r"weights were replaced"),
    (given_other_data, r"the weight model\.layers\.1\.mlp\.up_proj\.weight was moved or replaced"),
    (given_a_parameter, r"the weight model\.layers\.1\.mlp\.up_proj\.weight was replaced"),
    (given_a_module, "modules of the model were replaced"),
    (given_a_bias, "the model has other parameters"),
]


def watched(model, **options):
    engine = engine_of(model, **options)
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    return engine, events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def check_reset(events, match):
    (reset,) = of(events, PrefixCacheReset)
    assert reset.blocks > 0
    assert re.search(match, reset.reason), reset.reason


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=lambda value: getattr(value, "__name__", None))
def test_a_changed_model_finds_nothing_of_before(change, reason):
    model = build()
    before = [theirs(model, prompt) for prompt in SOME]
    engine, events = watched(model, num_host_blocks=8)
    assert ours(engine, SOME) == before
    change(model)
    after = [theirs(model, prompt) for prompt in SOME]
    assert after != before
    del events[:]
    assert ours(engine, SOME[:1]) == after[:1]
    check_reset(events, reason)
    assert not of(events, PrefixHit)
    assert ours(engine, SOME) == after
    assert len(of(events, PrefixHit)) == 3, "from then on it is found again"
    assert len(of(events, PrefixCacheReset)) == 1
    engine.audit()


def test_weights_that_come_back_to_the_same_places_are_seen():
    """Ids and addresses may be used again between two looks."""
    model = build()
    engine, events = watched(model)
    ours(engine, SOME)
    for seed in range(4, 12):
        loaded = build(seed=seed).state_dict()
        model.load_state_dict({name: tensor.clone() for name, tensor in loaded.items()}, assign=True)
        del loaded
        del events[:]
        assert ours(engine, SOME) == [theirs(model, prompt) for prompt in SOME]
        assert "replaced" in of(events, PrefixCacheReset)[0].reason


def test_a_preview_knows_of_the_change():
    model = build()
    engine, events = watched(model)
    ours(engine, SOME)
    written(model)
    engine.add_request(SOME[0], max_tokens=2)
    del events[:]
    foretold = engine.preview()
    assert len(of(events, PrefixCacheReset)) == 1
    assert foretold.num_blocks == -(-len(SOME[0]) // 4)


def test_running_requests_go_on_with_the_new_weights():
    model = build()
    engine, events = watched(model)
    name = engine.add_request(SOME[0], max_tokens=12, temperature=0)
    for _ in range(4):
        engine.step()
    loaded(model)
    ours(engine, SOME[1:])
    engine.audit()
    assert len(of(events, PrefixCacheReset)) == 1
    assert not of(events, PrefixHit)
    while engine.has_unfinished_requests():
        (output,) = engine.step()
    assert (output.request_id, len(output.outputs[0].token_ids)) == (name, 12)
    assert ours(engine, SOME) == [theirs(model, prompt) for prompt in SOME], "none of its blocks is found"


def test_who_waits_for_a_seat_begins_with_the_new_weights():
    model = build()
    engine, events = watched(model, max_num_seqs=1)
    engine.add_request(SOME[0], max_tokens=6, temperature=0)
    waiting = engine.add_request(SOME[1], max_tokens=6, temperature=0)
    engine.step()
    written(model)
    done = []
    while engine.has_unfinished_requests():
        done += [(output.request_id, output.outputs[0].token_ids) for output in engine.step() if output.finished]
        seated = [event.request for event in of(events, RequestScheduled)]
        assert len(of(events, PrefixCacheReset)) == (waiting in seated), "nobody was given anything before"
    assert done[1] == (waiting, tuple(theirs(model, SOME[1], 6)))
    assert not of(events, PrefixHit)


def test_without_a_prefix_cache_there_is_no_event():
    model = build()
    engine, events = watched(model, prefix_caching=False)
    ours(engine, SOME)
    given_a_module(model)
    assert ours(engine, SOME) == [theirs(model, prompt) for prompt in SOME]
    assert not of(events, PrefixCacheReset)


def test_what_no_look_can_see_is_seen_after_a_reset_by_hand():
    model = build()
    engine, events = watched(model)
    before = ours(engine, SOME)
    for layer in model.model.layers:
        layer.self_attn.scaling *= 3
        layer.self_attn.q_proj.weight.data.mul_(2)
    assert engine.reset_prefix_cache() > 0
    assert of(events, PrefixCacheReset)[0].reason == "it was asked for"
    after = [theirs(model, prompt) for prompt in SOME]
    assert after != before
    assert ours(engine, SOME) == after


@pytest.mark.parametrize("make", [torch.nn.Module.half, torch.nn.Module.double], ids=["half", "double"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
def test_a_model_that_does_not_fit_the_blocks_any_more_is_told(make, running):
    model = build()
    engine = engine_of(model)
    engine.add_request(SOME[0], max_tokens=8, temperature=0)
    if running:
        engine.step()
    make(model)
    for _ in range(2):
        with pytest.raises(pv.ModelError, match=r"was cpu, torch\.float32 .* is now cpu, torch\.(float16|float64)"):
            engine.step()
        engine.audit()
    model.float()
    while engine.has_unfinished_requests():
        (output,) = engine.step()
    if make is torch.nn.Module.double:
        assert list(output.outputs[0].token_ids) == theirs(model, SOME[0], 8)


def test_layers_of_another_shape_are_told():
    model = build()
    engine = engine_of(model)
    ours(engine, SOME)
    model.model.layers.append(build(seed=4).model.layers[1])
    model.model.layers[2].self_attn.layer_idx = 2
    model.config.num_hidden_layers = 3
    with pytest.raises(pv.ModelError, match="layers have another shape: make a new engine"):
        engine.generate(SOME)


def test_a_forward_that_is_replaced_later_is_told_at_the_next_step():
    model = build()
    engine = engine_of(model)
    expected = ours(engine, SOME)
    forward = model.forward

    def timed(*args, **kwargs):
        return forward(*args, **kwargs)

    model.forward = timed
    with pytest.raises(pv.ModelError, match="was replaced by the function timed"):
        engine.generate(SOME, max_tokens=4)
    del model.forward
    assert ours(engine, SOME) == expected
    engine.audit()


# -- adapters -------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def adapted():
    """A model with two adapters of PEFT."""
    peft = pytest.importorskip("peft")
    model = build()
    for seed, name in enumerate(["one", "two"]):
        torch.manual_seed(seed)
        settings = {"r": 4, "lora_alpha": 64, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False}
        config = peft.LoraConfig(task_type="CAUSAL_LM", **settings)
        if seed:
            model.add_adapter(name, config)
        else:
            model = peft.get_peft_model(model, config, adapter_name=name)
    return model.eval()


def switched(model):
    model.set_adapter("two")


def scaled(model):
    for part in model.modules():
        if hasattr(part, "set_scale"):
            part.set_scale("one", 0.1)


def merged(model):
    model.merge_adapter(["two"])


def trained_further(model):
    with torch.no_grad():
        model.base_model.model.model.layers[0].self_attn.q_proj.lora_B["one"].weight.mul_(-1)


@pytest.mark.parametrize("change", [switched, scaled, merged, trained_further], ids=lambda change: change.__name__)
def test_adapters_that_change_are_followed(adapted, change):
    engine, events = watched(adapted)
    before = ours(engine, SOME)
    change(adapted)
    after = [theirs(adapted, prompt) for prompt in SOME]
    assert after != before
    assert ours(engine, SOME) == after
    check_reset(events, "adapters|lora_B")


def test_an_adapter_that_is_off_for_a_while(adapted):
    engine, events = watched(adapted)
    before = ours(engine, SOME)
    with adapted.disable_adapter():
        assert ours(engine, SOME) == [theirs(build(), prompt) for prompt in SOME] != before
    assert ours(engine, SOME) == before
    assert len(of(events, PrefixCacheReset)) == 2


def test_an_adapter_that_is_put_in_after_the_engine_was_made():
    peft = pytest.importorskip("peft")
    model = build()
    engine, events = watched(model)
    before = ours(engine, SOME)
    config = peft.LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj"], init_lora_weights=False)
    model.add_adapter(config)
    after = [theirs(model, prompt) for prompt in SOME]
    assert after != before
    assert ours(engine, SOME) == after
    check_reset(events, "modules of the model were replaced")
