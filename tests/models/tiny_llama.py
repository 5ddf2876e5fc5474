"""The tiny random Llama of these tests, and what it writes: alone, and in an engine."""

import torch
import transformers

import pagedviz as pv

PROMPTS = [[2 + (31 * at + 7 * i + at * i) % 97 for i in range(3 + at % 9)] for at in range(40)]
LENGTH = 12


def build(seed=3, **changes):
    torch.manual_seed(seed)
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
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
    return found[0, len(prompt) :].tolist()


def ours(engine, prompts, count=LENGTH):
    outputs = engine.generate(prompts, max_tokens=count, temperature=0)
    return [list(output.outputs[0].token_ids) for output in outputs]


def engine_of(model, **options):
    return pv.Engine(model, **{"block_size": 4, "num_device_blocks": 256, **options})
