"""Numbers of numpy and torch at every border of the engine and the session: taken as they are meant, or refused."""

import dataclasses

import numpy as np
import pytest
import torch

import pagedviz as pv
from pagedviz.engine.sampling.params import REAL, WHOLE

MAKE = {"numpy": np.int64, "array": np.array, "torch": torch.tensor}
PARAMS = {
    "n": 2, "max_tokens": 5, "top_k": 40, "seed": 5, "logprobs": 2, "best_of": 3, "priority": 1, "temperature": 2,
    "top_p": 1, "min_p": 0, "repetition_penalty": 2,
}  # fmt: skip


def plain(value):
    """Whether nothing in it is of another library."""
    if isinstance(value, (tuple, list)):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(map(plain, [*value, *value.values()]))
    if dataclasses.is_dataclass(value):
        return all(plain(getattr(value, field.name)) for field in dataclasses.fields(value))
    return type(value) in (int, float, str, bool, type(None))


@pytest.mark.parametrize("make", MAKE)
def test_sampling_parameters_of_any_library_do_what_plain_ones_do(byte_engine, run_audited, make):
    given = {name: MAKE[make](value) for name, value in PARAMS.items()}
    given["ignore_eos"] = np.bool_(True)
    params = pv.SamplingParams(**given)
    assert plain(params)
    engine = byte_engine()
    found = engine.generate("ab", params)[0]
    assert plain(found)
    expected = byte_engine().generate("ab", ignore_eos=True, **PARAMS)[0]
    assert found == expected


def test_a_truth_of_any_library_is_one():
    assert pv.SamplingParams(beam_width=2, early_stopping=np.bool_(True)).early_stopping is True
    for wrong in (1, "always", np.int64(1), None):
        with pytest.raises(pv.RequestError, match=r"early_stopping=.*: must be True, False or 'never'"):
            pv.SamplingParams(beam_width=2, early_stopping=wrong)


def test_every_number_of_the_parameters_is_made_plain():
    fields = {field.name: field for field in dataclasses.fields(pv.SamplingParams)}
    numbers = {name for name, field in fields.items() if str(field.type).split(" |")[0] in ("int", "float")}
    assert numbers == {entry[0] for entry in (*WHOLE, *REAL)}


@pytest.mark.parametrize(
    "ids",
    [[98], (98,), {98}, range(98, 99), np.array([98]), torch.tensor([98]), [np.int64(98)],
     pytest.param(iter([98]), id="iter"),
     np.array([98, 99]), {98, 200}],
    ids=repr,
)  # fmt: skip
def test_stop_tokens_of_any_kind_stop(byte_engine, script, ids):
    engine = byte_engine()
    script(engine, "abc", 2)
    output = engine.generate([97, 97], temperature=0, stop_token_ids=ids, max_tokens=5)[0].outputs[0]
    assert (output.text, output.stop_reason) == ("a", 98)
    assert type(output.stop_reason) is int


@pytest.mark.parametrize("make", MAKE)
def test_engine_options_of_any_library_are_taken(tiny, tmp_path, make):
    sizes = {"block_size": 4, "num_device_blocks": 60, "num_host_blocks": 8, "max_num_seqs": 4, "seed": 3}
    options = {name: MAKE[make](value) for name, value in sizes.items()}
    engine = pv.Engine(tiny("llama"), prefix_caching=np.bool_(True), max_num_batched_tokens=np.int32(64), **options)
    assert plain(engine.config)
    with pv.record(engine) as recording:
        engine.generate([3, 4, 5], max_tokens=3)
    recording.trace.save(tmp_path / "run.pvtrace")
    trace = pv.Trace.load(tmp_path / "run.pvtrace")
    assert trace.state_at(MAKE[make](2)) == trace.state_at(2)
    for step in (True, np.bool_(True), 1.0, "1", MAKE[make](1000)):
        with pytest.raises(pv.ConfigError, match="is not in the trace"):
            trace.state_at(step)


@pytest.mark.parametrize("value", [10**30, np.True_, torch.tensor(True), np.float64(4), np.array([4, 4])], ids=repr)
def test_engine_options_that_are_none_are_refused(tiny, value):
    with pytest.raises(pv.ConfigError, match="num_device_blocks="):
        pv.Engine(tiny("llama"), num_device_blocks=value)


@pytest.mark.parametrize(
    "prompt", [torch.tensor([3, 4]), [torch.tensor(3), np.uint8(4)], np.array([3, 4], np.uint8)]
)
def test_prompts_of_any_library_are_plain_in_a_trace(byte_engine, prompt):
    engine = byte_engine()
    with pv.record(engine) as recording:
        name = engine.add_request(prompt, max_tokens=2, request_id=np.str_("mine"), cache_salt=np.str_("salt"))
        while engine.has_unfinished_requests():
            engine.step()
    assert type(name) is str
    assert pv.Trace.from_bytes(recording.trace.to_bytes()).events == recording.trace.events


def test_texts_in_arrays_are_prompts(byte_engine):
    engine = byte_engine()
    for prompts in (np.array(["ab", "c"]), iter(["ab", "c"])):
        outputs = engine.generate(prompts, max_tokens=2)
        assert [output.prompt for output in outputs] == ["ab", "c"]
        assert plain(outputs)
    with pytest.raises(pv.RequestError, match="prompts are a set"):
        engine.generate({"ab", "c"})
    with pytest.raises(pv.RequestError, match="prompts are a ndarray"):
        engine.generate(np.array(5))


def test_a_session_takes_numbers_of_any_library(byte_engine):
    engine = byte_engine()
    with pv.Session(engine) as session:
        session.submit("abc", seed=np.int64(5), max_tokens=np.int64(8), n=torch.tensor(2))
        session.break_on(block=np.int64(120)).remove()
        session.break_on(sequence=torch.tensor(0)).remove()
        session.step(np.int64(2))
        assert session.status.step == 2
        session.step(until=np.int64(4))
        assert session.status.step == 4
        for bad in (True, np.bool_(True), np.float64(2)):
            with pytest.raises(pv.SessionError, match="at least 1"):
                session.step(bad)
        assert session.run().status.state == "finished"
