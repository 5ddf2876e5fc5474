"""Never wrong tokens: a model that needs what paged attention here lacks is refused, and the feature is named."""

import pytest
import torch
import transformers as t

import pagedviz as pv

SMALL = {
    "vocab_size": 211,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
    "eos_token_id": None,
    "bos_token_id": 1,
    "pad_token_id": None,
}
ROPE = {**SMALL, "intermediate_size": 96, "max_position_embeddings": 512, "num_key_value_heads": 2}


def gpt_oss():
    return t.GptOssForCausalLM(
        t.GptOssConfig(**{**ROPE, "head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1})
    )


def bloom():
    return t.BloomForCausalLM(t.BloomConfig(vocab_size=211, hidden_size=64, n_layer=2, n_head=4))


def mpt():
    return t.MptForCausalLM(t.MptConfig(vocab_size=211, d_model=64, n_layers=2, n_heads=4))


def falcon_alibi():
    return t.FalconForCausalLM(t.FalconConfig(**SMALL, alibi=True))


def mamba():
    return t.MambaForCausalLM(
        t.MambaConfig(vocab_size=211, hidden_size=64, num_hidden_layers=2, state_size=4, pad_token_id=0)
    )


def t5():
    return t.T5ForConditionalGeneration(
        t.T5Config(vocab_size=211, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4)
    )


def dynamic_rope():
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    return t.LlamaForCausalLM(t.LlamaConfig(**ROPE, rope_parameters=rope))


def chunked():
    return t.Llama4ForCausalLM(
        t.Llama4TextConfig(
            **ROPE, head_dim=16, num_local_experts=2, intermediate_size_mlp=96, attention_chunk_size=8
        )
    )


def differential():
    return t.DiffLlamaForCausalLM(t.DiffLlamaConfig(**ROPE))


def window_in_the_mask_only():
    return t.PhimoeForCausalLM(
        t.PhimoeConfig(**ROPE, sliding_window=24, num_local_experts=2, num_experts_per_tok=1)
    )


def window_in_the_cache_only():
    config = t.MoshiConfig(**{**ROPE, "ffn_dim": 96, "head_dim": 16, "sliding_window": 24})
    return t.MoshiForCausalLM(config)


def bert():
    return t.BertLMHeadModel(t.BertConfig(**{**SMALL, "intermediate_size": 96, "pad_token_id": 0}))


def no_head():
    return t.LlamaModel(t.LlamaConfig(**ROPE))


def unlike_layers():
    model = t.LlamaForCausalLM(t.LlamaConfig(**ROPE))
    attention = model.model.layers[1].self_attn
    attention.num_key_value_groups = 1
    attention.k_proj = torch.nn.Linear(64, 64, bias=False)
    attention.v_proj = torch.nn.Linear(64, 64, bias=False)
    return model


CASES = [
    (gpt_oss, "attention sinks"),
    (bloom, "ALiBi"),
    (mpt, "ALiBi"),
    (falcon_alibi, "ALiBi"),
    (mamba, "linear_attention|recurrent"),
    (t5, "encoder-decoder"),
    (dynamic_rope, "'dynamic' rope"),
    (chunked, "chunked_attention"),
    (differential, "differential attention"),
    (window_in_the_mask_only, "sliding window"),
    (window_in_the_cache_only, "sliding window"),
    (bert, "bidirectional"),
    (no_head, "does not run on paged attention"),
    (unlike_layers, "layers with different"),
]


@pytest.mark.parametrize(("build", "feature"), CASES, ids=lambda case: getattr(case, "__name__", None))
def test_a_model_that_needs_more_is_refused_and_the_feature_is_named(build, feature):
    torch.manual_seed(0)
    with pytest.raises(pv.ModelError, match=feature):
        pv.Engine(build().eval(), num_device_blocks=8)


def test_a_refused_model_is_left_as_it_was():
    model = gpt_oss().eval()
    before = model.config._attn_implementation
    with pytest.raises(pv.ModelError):
        pv.Engine(model, num_device_blocks=8)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_an_accepted_model_is_left_as_it_was(family, tiny, make_prompt):
    model = tiny(family)
    before = model.config._attn_implementation
    ids = torch.tensor([make_prompt(9)])
    with torch.inference_mode():
        own = model(ids).logits
    engine = pv.Engine(model, num_device_blocks=8)
    engine.generate(make_prompt(9), max_tokens=2)
    assert model.config._attn_implementation == before
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, own)


def test_keys_and_values_of_different_sizes_are_refused(tiny):
    """Multi-head latent attention, as in DeepSeek-V3."""
    config = t.DeepseekV3Config(
        **{
            **ROPE,
            "num_key_value_heads": 4,
            "q_lora_rank": 24,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 16,
            "qk_rope_head_dim": 8,
            "v_head_dim": 16,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
        }
    )
    with pytest.raises(pv.ModelError, match="multi-head latent attention"):
        pv.Engine(t.DeepseekV3ForCausalLM(config).eval(), num_device_blocks=8)


# -- where weights come from ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["smollm2", "no such model", "/no/such/folder", "./none", "a/b/c", "none.gguf", ""]
)
def test_a_name_that_is_nothing_is_refused(name):
    with pytest.raises(pv.ModelError):
        pv.Engine.from_pretrained(name)


def test_an_unknown_alias_is_told_the_known_ones():
    with pytest.raises(pv.ModelError, match="smollm2-135m"):
        pv.Engine.from_pretrained("smollm3-135m")


def test_a_folder_without_a_model_or_without_weights_is_refused(tmp_path, tiny):
    with pytest.raises(pv.ModelError, match=r"no config\.json"):
        pv.Engine.from_pretrained(tmp_path)
    tiny("llama").config.save_pretrained(tmp_path)
    with pytest.raises(pv.ModelError, match="no weights"):
        pv.Engine.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(pv.ModelError, match="cannot be loaded"):
        pv.Engine.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 99])
def test_a_broken_gguf_file_is_refused(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(pv.ModelError, match=r"cannot be loaded|no file"):
        pv.Engine.from_pretrained(path)
