"""Bad input: an error of ours, at the call, and everything else goes on."""

import re

import numpy as np
import pytest
import torch

import pagedviz as pv
from pagedviz.events import TokenAppended

NAN = float("nan")
BAD_REQUESTS = {
    "no text": ("", {}, "empty"),
    "no ids": ([], {}, "empty"),
    "longer than the pool": ([3] * 65, {}, "65 tokens.*more than 64"),
    "past the vocabulary": ([3, 256], {}, "256"),
    "negative id": ([-1], {}, "-1"),
    "bool": ([True, 3], {}, "True"),
    "float": ([1.0, 2.0], {}, "1.0"),
    "NaN id": ([NAN], {}, "nan"),
    "text among ids": ([3, "a"], {}, "'a'"),
    "nothing": (None, {}, "NoneType"),
    "bytes": (b"abc", {}, "bytes"),
    "a mapping": ({"prompt": "abc"}, {}, "dict"),
    "half a surrogate pair": ("\ud800", {}, "tokenized"),
    "n=0": ("a", {"n": 0}, "n=0"),
    "n above max_num_seqs": ("a", {"n": 33}, "n=33"),
    "n that does not fit": ("a", {"n": 8, "max_tokens": 60}, "n=8"),
    "max_tokens=0": ("a", {"max_tokens": 0}, "max_tokens=0"),
    "max_tokens is a float": ("a", {"max_tokens": 2.0}, "max_tokens=2.0"),
    "negative temperature": ("a", {"temperature": -0.1}, "temperature=-0.1"),
    "temperature is NaN": ("a", {"temperature": NAN}, "temperature=nan"),
    "temperature is infinite": ("a", {"temperature": float("inf")}, "temperature=inf"),
    "temperature is a text": ("a", {"temperature": "hot"}, "temperature='hot'"),
    "top_p=0": ("a", {"top_p": 0.0}, "top_p"),
    "top_p above 1": ("a", {"top_p": 1.1}, "top_p"),
    "min_p above 1": ("a", {"min_p": 1.1}, "min_p"),
    "top_k=-2": ("a", {"top_k": -2}, "top_k"),
    "penalty of 0": ("a", {"repetition_penalty": 0.0}, "repetition_penalty"),
    "empty stop string": ("a", {"stop": ["x", ""]}, "stop"),
    "stop is a number": ("a", {"stop": 3}, "stop=3"),
    "stop_token_ids is a number": ("a", {"stop_token_ids": 3}, "stop_token_ids=3"),
    "negative stop token": ("a", {"stop_token_ids": [-1]}, "stop_token_ids"),
    "negative logprobs": ("a", {"logprobs": -1}, "logprobs"),
    "negative seed": ("a", {"seed": -1}, "seed"),
    "unknown keyword": ("a", {"temprature": 0.5}, "did you mean 'temperature'"),
}


@pytest.mark.parametrize("call", ["add_request", "generate", "stream"])
@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_told_at_the_call_and_others_go_on(byte_engine, run_audited, case, call):
    prompt, params, message = BAD_REQUESTS[case]
    engine = byte_engine(num_device_blocks=16)
    other = engine.add_request("other", temperature=0.0, max_tokens=3, ignore_eos=True)
    engine.step()
    if call != "add_request" and not isinstance(prompt, str):
        prompt = [prompt]
    with pytest.raises(pv.RequestError, match=message):
        getattr(engine, call)(prompt, **params)
    engine.audit()
    assert engine.unfinished_request_ids() == [other]
    assert run_audited(engine, [other])[0].finished


@pytest.mark.parametrize("prompts", [None, 5, b"abc", {"prompt": "abc"}])
def test_prompts_that_are_no_list_are_refused(byte_engine, prompts):
    with pytest.raises(pv.RequestError, match=type(prompts).__name__):
        byte_engine().generate(prompts)


def test_one_bad_prompt_of_several_begins_none(byte_engine):
    engine = byte_engine()
    with pytest.raises(pv.RequestError):
        engine.generate(["fine", ""])
    with pytest.raises(pv.RequestError, match="2 sampling parameters for 3 prompts"):
        engine.generate(["a", "b", "c"], [pv.SamplingParams()] * 2)
    with pytest.raises(pv.RequestError, match="not both"):
        engine.generate("a", pv.SamplingParams(), n=2)
    with pytest.raises(pv.RequestError, match="must be a SamplingParams"):
        engine.generate("a", 0.5)
    assert not engine.has_unfinished_requests()
    engine.audit()


@pytest.mark.parametrize(
    "prompt", [(3, 4, 5), np.array([3, 4, 5]), torch.tensor([3, 4, 5]), [np.int64(3), np.int32(4), 5], range(3, 6)]
)
def test_token_ids_may_come_in_many_shapes(byte_engine, prompt):
    engine = byte_engine()
    output = engine.generate(prompt, temperature=0.0, max_tokens=3)[0]
    assert output.prompt_token_ids == (3, 4, 5)
    assert output == engine.generate([3, 4, 5], temperature=0.0, max_tokens=3)[0].__class__(
        output.request_id, None, (3, 4, 5), output.outputs, True
    )
    engine.audit()


def test_a_request_id_names_one_request_for_ever(byte_engine, run_audited):
    engine = byte_engine()
    engine.add_request("a", request_id="mine", max_tokens=2)
    with pytest.raises(pv.RequestError, match="'mine' is taken"):
        engine.add_request("b", request_id="mine")
    run_audited(engine, ["mine"])
    with pytest.raises(pv.RequestError, match="'mine' is taken"):
        engine.add_request("b", request_id="mine")
    engine.add_request("a", request_id="r0", max_tokens=2)
    assert engine.add_request("a", max_tokens=2) != "r0"
    with pytest.raises(pv.RequestError, match="must be a string"):
        engine.add_request("b", request_id=5)


def test_a_request_id_can_be_written_down(byte_engine, run_audited):
    """Half of a surrogate pair can be in no trace: whoever records would fail, and all other requests with it."""
    engine = byte_engine()
    with pv.record(engine) as recording:
        with pytest.raises(pv.RequestError, match=r"request_id='\\ud800': must be a string"):
            engine.add_request("b", request_id="\ud800")
        (output,) = run_audited(engine, [engine.add_request("b", request_id="\U0001f600", max_tokens=2)])
    assert output.finished
    assert pv.Trace.from_bytes(recording.trace.to_bytes()).events == recording.trace.events


def test_what_a_tokenizer_and_a_folder_are_called_can_be_written_down(byte_engine, monkeypatch):
    engine = byte_engine()
    # How Python has the name of a folder that is not UTF-8.
    monkeypatch.setattr(engine.model, "name_or_path", "/models/caf\udce9")
    monkeypatch.setattr(engine.tokenizer, "decode", lambda tokens, **_: "\udce9" * len(tokens), raising=False)
    monkeypatch.setattr(engine.tokenizer, "batch_decode", lambda many, **_: ["\udce9" for _ in many], raising=False)
    with pv.record(engine) as recording:
        output = engine.generate([[3, 4]], max_tokens=2, ignore_eos=True)[0]
    assert output.outputs[0].text == "\udce9\udce9"
    trace = pv.Trace.from_bytes(recording.trace.to_bytes())
    assert trace.info.model == "caf\\udce9"
    assert trace.events[0].texts == ("\\udce9",) * 2
    assert [event.text for event in trace.events if isinstance(event, TokenAppended)] == ["\\udce9"] * 2


@pytest.mark.parametrize("given", [5, None, b"smollm2-135m", ["smollm2-135m"]])
def test_a_model_is_loaded_by_a_text_or_a_path(given):
    with pytest.raises(pv.ModelError, match=re.escape(f"there is no model {given!r}: must be a text or a path")):
        pv.Engine.from_pretrained(given)


def test_what_is_recorded_is_an_engine(byte_engine):
    with pv.Session(byte_engine()) as session:
        for given in (session, 5):
            told = rf"record\({type(given).__name__}\): it has no info, snapshot"
            with pytest.raises(pv.ConfigError, match=told), pv.record(given):
                pass


def test_a_text_needs_a_tokenizer(tiny):
    with pytest.raises(pv.RequestError, match="no tokenizer"):
        pv.Engine(tiny("llama")).generate("text")


def test_a_prompt_longer_than_the_models_positions_is_refused(new_tiny):
    engine = pv.Engine(new_tiny("llama", num_hidden_layers=1, max_position_embeddings=16))
    with pytest.raises(pv.RequestError, match="at most 16"):
        engine.add_request([3] * 17)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 0}, "block_size=0"),
        ({"block_size": 2.0}, "block_size=2.0"),
        ({"block_size": True}, "block_size=True"),
        ({"num_device_blocks": 0}, "num_device_blocks=0"),
        ({"num_host_blocks": -1}, "num_host_blocks=-1"),
        ({"num_host_blocks": 1.5}, "num_host_blocks=1.5"),
        ({"max_num_seqs": 0}, "max_num_seqs"),
        ({"max_num_batched_tokens": 0}, "max_num_batched_tokens"),
        ({"max_num_batched_tokens": 31}, "max_num_seqs=32"),
        ({"attention": "flash"}, "'flash'.*numba"),
        ({"eviction": "oldest"}, "'oldest'"),
        ({"preemption": "swop"}, "'swop'"),
        ({"prefix_caching": 1}, "prefix_caching=1"),
        ({"victim": "oldest"}, "valid: 'newest'"),
        ({"placement": "up"}, "valid: 'always'"),
        ({"eviction": "belady"}, "only for replays"),
        ({"seed": -1}, "seed"),
        ({"blocksize": 16}, "did you mean 'block_size'"),
    ],
    ids=str,
)
def test_a_bad_option_of_the_engine_is_told(tiny, options, message):
    with pytest.raises(pv.ConfigError, match=message):
        pv.Engine(tiny("llama"), **options)
    with pytest.raises(pv.ConfigError, match=message):
        pv.Engine.from_pretrained("no such model", **options)


@pytest.mark.parametrize("options", [{"dtype": "float8"}, {"device": "tpu9"}], ids=str)
def test_a_bad_place_for_a_model_is_told_before_it_is_loaded(options):
    with pytest.raises(pv.ConfigError):
        pv.Engine.from_pretrained("no such model", **options)


def test_a_pool_that_memory_cannot_hold_is_told(tiny):
    with pytest.raises(pv.ConfigError, match="num_device_blocks"):
        pv.Engine(tiny("llama"), num_device_blocks=2**46)


@pytest.mark.parametrize("model", [5, "smollm2-135m", None])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(pv.ModelError, match="from_pretrained"):
        pv.Engine(model)


def test_a_model_whose_dtype_no_cache_has_is_refused_when_the_engine_is_made(new_tiny):
    with pytest.raises(pv.ConfigError, match="float64"):
        pv.Engine(new_tiny("llama").double())
