"""The real model: SmolLM2's greedy tokens equal those of generate, and text comes out of them."""

import pytest

import pagedviz as pv

pytestmark = pytest.mark.model

COUNT = 200
TIE = 1e-4
TEXTS = [
    "Hi",
    "The capital of France is",
    "Explain in one sentence what a page table is.",
    "Once upon a time, in a village by the sea, there lived",
    "1, 1, 2, 3, 5, 8, 13,",
    "def fibonacci(n):\n    ",
    "Write a short poem about memory that is handed out in blocks. " * 3,
    "It was the best of times, it was the worst of times, it was the age of wisdom, " * 5,
]
BLOCKS = {1: 3072, 16: 192, 32: 96}


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return [tokenizer(text)["input_ids"] for text in TEXTS]


def differences(outputs, prompts, model, reference):
    found = []
    for prompt, output in zip(prompts, outputs, strict=True):
        expected, leads = reference(model, prompt, COUNT)
        tokens = output.outputs[0].token_ids
        assert len(tokens) == COUNT
        first = next((i for i in range(COUNT) if tokens[i] != expected[i]), None)
        if first is not None and leads[first] > TIE:
            found.append((len(prompt), first, leads[first]))
    return found


GREEDY = {"temperature": 0.0, "max_tokens": COUNT, "ignore_eos": True}


@pytest.mark.parametrize("block_size", BLOCKS)
def test_a_batch_of_eight_gives_the_tokens_of_generate(smollm2, prompts, reference, run_audited, block_size):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=block_size, num_device_blocks=BLOCKS[block_size])
    ids = [engine.add_request(prompt, **GREEDY) for prompt in prompts]
    assert differences(run_audited(engine, ids), prompts, model, reference) == []


# Alone, each prompt is tried with one block size here; `pagedviz bench equality` tries all with each.
@pytest.mark.parametrize(("block_size", "chosen"), [(1, [0, 3, 6]), (16, [1, 4, 7]), (32, [2, 5])])
def test_a_prompt_alone_gives_the_tokens_of_generate(smollm2, prompts, reference, run_audited, block_size, chosen):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=block_size, num_device_blocks=BLOCKS[block_size])
    for index in chosen:
        outputs = run_audited(engine, [engine.add_request(prompts[index], **GREEDY)])
        assert differences(outputs, [prompts[index]], model, reference) == []


def test_the_stream_of_a_text_adds_up_to_its_decoded_tokens(smollm2):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=16, num_device_blocks=32)
    prompt = "Write an emoji for each: cat, dog, sun, rocket, pizza, heart:"
    shown = [""]
    for output in engine.stream(prompt, temperature=1.0, seed=4, max_tokens=40):
        engine.audit()
        text = output.outputs[0].text
        assert text.startswith(shown[-1])
        shown.append(text)
    final = tokenizer.decode(output.outputs[0].token_ids, skip_special_tokens=True)
    assert final.startswith(text)
    assert final.removeprefix(text).strip("\ufffd") == ""
