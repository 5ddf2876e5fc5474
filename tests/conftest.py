"""What all tests share: golden files, random event streams, tiny models and what transformers generates.

torch and transformers are imported where a model is wanted: a process that runs tests without one starts quickly.
"""

import functools
import importlib.util
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import pagedviz as pv

settings.register_profile("without a clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without a clock")  # here for all tests: a busy machine is no fault of the code


def pytest_configure():
    """A shell starts background jobs with Ctrl-C ignored; tests send it, and want what Python makes of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """A name with an address in it is another one in each of xdist's processes, which then run nothing."""
    if unstable := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError("these tests need ids of their own: " + ", ".join(unstable))


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing")


@pytest.fixture(scope="session")
def streams():
    """The module ``tests/trace/streams.py``: random valid runs without an engine."""
    name = "pagedviz_test_streams"
    if name not in sys.modules:
        path = Path(__file__).parent / "trace" / "streams.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def golden():
    """The folder of golden files."""
    return Path(__file__).parent / "golden"


# -- models -----------------------------------------------------------------------------------------------------

VOCAB = 211
COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # small weights would repeat one token for ever, and attention would not matter
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": None,
}
GQA = {"num_key_value_heads": 2}
TINY = {
    "llama": ("Llama", GQA),
    "qwen2": ("Qwen2", GQA),
    "qwen3": ("Qwen3", {**GQA, "head_dim": 24}),
    "mistral": ("Mistral", {**GQA, "sliding_window": 24}),
    "gemma2": (
        "Gemma2",
        {
            **GQA,
            "head_dim": 16,
            "sliding_window": 24,
            "num_hidden_layers": 4,
            "attn_logit_softcapping": 3.0,
            "query_pre_attn_scalar": 20,
            "eos_token_id": 0,
            "tie_word_embeddings": False,  # tied, these families repeat their last token
        },
    ),
    "gemma3": (
        "Gemma3Text",
        {
            **GQA,
            "head_dim": 16,
            "sliding_window": 20,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "eos_token_id": 0,
            "tie_word_embeddings": False,  # tied, these families repeat their last token
        },
    ),
    "gpt_neox": ("GPTNeoX", {"rotary_pct": 0.5}),
    "opt": ("OPT", {"ffn_dim": 96, "word_embed_proj_dim": 64, "init_std": 0.3, "do_layer_norm_before": True}),
    "phi3": ("Phi3", {**GQA, "pad_token_id": 0, "sliding_window": 30}),
    "gpt2": ("GPT2", {"n_positions": 512}),
}
"""Tiny models with random weights: family -> (class prefix in transformers, what differs from COMMON)."""


def build_tiny(family, **changes):
    """A new tiny model of a family, in float32; the same weights every time."""
    import torch
    import transformers

    prefix, own = TINY[family]
    settings = {**COMMON, **own, **changes}
    heads = {"GPT2": "GPT2LMHeadModel", "Gemma3Text": "Gemma3ForCausalLM"}
    config = getattr(transformers, f"{prefix}Config")(**settings)
    torch.manual_seed(1)
    model = getattr(transformers, heads.get(prefix, f"{prefix}ForCausalLM"))(config).eval()
    model.generation_config.eos_token_id = settings["eos_token_id"]
    return model


@pytest.fixture(scope="session")
def tiny():
    """``tiny("llama")``: a tiny model of that family, built once."""
    return functools.lru_cache(build_tiny)


@pytest.fixture(scope="session")
def new_tiny():
    """``new_tiny("llama", num_hidden_layers=1)``: a tiny model of one's own."""
    return build_tiny


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M and its tokenizer, in float32."""
    import torch

    from pagedviz.models import load

    return load("smollm2-135m", torch.float32)


@pytest.fixture(scope="session")
def tokenizer(smollm2):
    """A real byte-level tokenizer."""
    return smollm2[1]


def generate_alone(model, prompt, count):
    """What transformers generates greedily from token ids, past end tokens, and its lead in every step.

    The lead is the distance between the two best logits: where it is tiny, either token is right.
    """
    import torch

    own = model.generation_config
    eos, own.eos_token_id = own.eos_token_id, None
    try:
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=count,
                do_sample=False,
                pad_token_id=0,
                output_logits=True,
                return_dict_in_generate=True,
            )
    finally:
        own.eos_token_id = eos
    best = torch.cat(out.logits).float().topk(2).values
    return out.sequences[0, len(prompt) :].tolist(), (best[:, 0] - best[:, 1]).tolist()


@pytest.fixture(scope="session")
def reference():
    """``reference(model, prompt, count)``: greedy tokens of transformers, computed once, and their leads."""
    known = {}

    def lookup(model, prompt, count):
        key = (id(model), tuple(prompt))
        if key not in known or len(known[key][0]) < count:
            known[key] = generate_alone(model, list(prompt), count)
        tokens, leads = known[key]
        return tokens[:count], leads[:count]

    return lookup


@pytest.fixture(scope="session")
def run_audited():
    """``run_audited(engine, ids)``: step until the requests are done, audit after every step; their outputs."""

    def run(engine, ids):
        last = {}
        engine.audit()
        while engine.has_unfinished_requests():
            for output in engine.step():
                last[output.request_id] = output
            engine.audit()
        stats = engine.stats()
        assert stats["num_free_blocks"] == engine.config.num_device_blocks
        return [last[request_id] for request_id in ids]

    return run


@pytest.fixture(scope="session")
def make_prompt():
    """``make_prompt(length, seed)``: token ids for the tiny models."""

    def prompt(length, seed=0):
        return [2 + (7919 * (seed + 1) + 104729 * i + i * i) % (VOCAB - 2) for i in range(length)]

    return prompt


class ByteTokenizer:
    """One token per byte: characters beyond ASCII span several tokens. Token 0 is special."""

    def __call__(self, text):
        return {"input_ids": list(text.encode())}

    def decode(self, tokens, skip_special_tokens=False, **options):
        kept = [token for token in tokens if token or not skip_special_tokens]
        return bytes(kept).decode(errors="replace")

    def batch_decode(self, many, **options):
        return [self.decode(tokens) for tokens in many]


@pytest.fixture(scope="session")
def byte_tokenizer():
    """A tokenizer with one token per byte."""
    return ByteTokenizer()


CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def chat_tokenizer():
    """``chat_tokenizer(template)``: a byte-level tokenizer of 259 tokens as transformers has them, one that begins
    every text with ``<s>`` of its own; the template is ChatML if none is given, and None leaves it without one."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    def make(template=CHATML):
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        words = {letter: index for index, letter in enumerate(letters)}
        raw = Tokenizer(models.BPE(words, []))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        raw.decoder = decoders.ByteLevel()
        raw.add_special_tokens(["<|im_start|>", "<|im_end|>", "<s>"])
        raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 258)])
        made = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", bos_token="<s>")
        made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
        made.chat_template = template
        return made

    return make


@pytest.fixture
def byte_engine(tiny, byte_tokenizer):
    """``byte_engine(**options)``: an engine with one token per byte, on a tiny random Llama."""

    def make(**options):
        model = tiny("llama", vocab_size=256, num_hidden_layers=2)
        return pv.Engine(model, byte_tokenizer, **{"block_size": 4, "num_device_blocks": 128, **options})

    return make


def write_script(engine, text, num_prompt):
    """Let the model want to write ``text`` (bytes or str) after a prompt of that length, then token 0."""
    import torch

    script = text.encode() if isinstance(text, str) else text
    run = engine._core.runner.run

    def scripted(batch):
        logits, launches = run(batch)
        logits = torch.full_like(logits, -10.0)
        for row, position in enumerate(batch.positions[batch.rows].tolist()):
            at = position + 1 - num_prompt
            logits[row, script[at] if at < len(script) else 0] = 10.0
        return logits, launches

    engine._core.runner.run = scripted


@pytest.fixture(scope="session")
def script():
    """``script(engine, text, num_prompt)``: see ``write_script``."""
    return write_script
