"""Text, token by token: stop strings, characters of several tokens, end tokens, lengths."""

import itertools

import pytest

from pagedviz.engine.detokenize import advance, begin
from pagedviz.events import TokenAppended

GREEDY = {"temperature": 0.0, "max_tokens": 60}


def stream(engine, prompt="ab", **params):
    """All outputs of one request, audited."""
    seen = []
    for output in engine.stream(prompt, **{**GREEDY, **params}):
        engine.audit()
        seen.append(output.outputs[0])
    engine.audit()
    return seen


def check_stream(seen):
    """What was shown once is never taken back."""
    for earlier, later in itertools.pairwise(seen):
        assert later.text.startswith(earlier.text)
    return seen[-1]


@pytest.mark.parametrize(
    ("stop", "text", "reason"),
    [
        (["STOP"], "hello ", "STOP"),
        ("o", "hell", "o"),
        (["xx", "lo ST"], "hel", "lo ST"),
        (["OP", "STOP"], "hello ", "STOP"),
        (["STOPPED"], "hello STOP and on", None),
    ],
)
def test_a_stop_string_ends_the_text_and_is_never_shown(byte_engine, script, stop, text, reason):
    engine = byte_engine()
    script(engine, "hello STOP and on", 2)
    last = check_stream(stream(engine, stop=stop, stop_token_ids=[0]))
    assert last.text == text
    assert last.stop_reason == (reason or 0)
    assert last.finish_reason == "stop"


def test_only_what_may_be_the_beginning_of_a_stop_string_is_held_back(byte_engine, script):
    engine = byte_engine()
    script(engine, "ab##c###d", 2)
    shown = [output.text for output in stream(engine, stop="###")]
    assert shown == ["a", "ab", "ab", "ab", "ab##c", "ab##c", "ab##c", "ab##c"]


def test_text_held_back_is_shown_when_the_length_ends_it(byte_engine, script):
    engine = byte_engine()
    script(engine, "abc##", 2)
    last = check_stream(stream(engine, stop="###", max_tokens=5))
    assert (last.text, last.finish_reason) == ("abc##", "length")


def test_a_stop_string_in_the_last_token_counts_as_stop(byte_engine, script):
    engine = byte_engine()
    script(engine, "abc!", 2)
    last = check_stream(stream(engine, stop="c!", max_tokens=4))
    assert (last.text, last.finish_reason, last.stop_reason) == ("ab", "stop", "c!")
    assert last.token_ids == tuple(b"abc!")


def test_a_stop_string_in_the_prompt_does_not_count(byte_engine, script):
    engine = byte_engine()
    script(engine, "Pxyz", 4)
    assert stream(engine, "STO", stop="STOP", max_tokens=4)[-1].finish_reason == "length"


@pytest.mark.parametrize("text", ["naïve 👩‍👩‍👧 café — 漢字", "👍🏽", "é"])
def test_the_stream_of_a_text_with_long_characters_never_shows_half_of_one(byte_engine, script, text):
    engine = byte_engine()
    script(engine, text, 2)
    batches = []
    engine.subscribe(batches.append)
    seen = stream(engine, stop_token_ids=[0], max_tokens=200)
    last = check_stream(seen)
    assert last.text == text
    assert all("\ufffd" not in output.text for output in seen)
    pieces = [e.text for batch in batches for e in batch.events if isinstance(e, TokenAppended)]
    assert "".join(pieces) == text


def test_bytes_that_are_no_character_appear_as_such_once_it_is_clear(byte_engine, script):
    engine = byte_engine()
    script(engine, b"a\xffb\xf0\x9f", 2)
    assert check_stream(stream(engine, max_tokens=5)).text == "a\ufffdb"


def test_a_stop_token_is_kept_in_the_tokens_and_left_out_of_the_text(byte_engine, script):
    engine = byte_engine()
    script(engine, "abcd", 2)
    last = stream(engine, stop_token_ids=[ord("c")])[-1]
    assert (last.text, last.token_ids, last.finish_reason) == ("ab", tuple(b"abc"), "stop")
    assert last.stop_reason == ord("c")


@pytest.mark.parametrize("eos", [ord("c"), [7, ord("c")]])
def test_the_models_end_tokens_end_the_text_unless_they_are_ignored(new_tiny, byte_tokenizer, script, eos):
    import pagedviz as pv

    model = new_tiny("llama", vocab_size=256, num_hidden_layers=1)
    model.generation_config.eos_token_id = eos
    engine = pv.Engine(model, byte_tokenizer, block_size=4, num_device_blocks=16)
    script(engine, "abcde", 2)
    last = stream(engine)[-1]
    assert (last.token_ids, last.finish_reason, last.stop_reason) == (tuple(b"abc"), "stop", None)
    last = stream(engine, ignore_eos=True, max_tokens=5)[-1]
    assert (last.text, last.finish_reason) == ("abcde", "length")
    last = stream(engine, ignore_eos=True, stop_token_ids=[ord("c")])[-1]
    assert last.stop_reason == ord("c")


@pytest.mark.parametrize("params", [{}, {"n": 2}, {"best_of": 2}, {"beam_width": 2}], ids=str)
def test_an_end_token_that_is_an_ordinary_word_is_not_shown(new_tiny, byte_tokenizer, script, params):
    import pagedviz as pv

    model = new_tiny("llama", vocab_size=256, num_hidden_layers=1)
    for end, sampling in ((ord("c"), {}), (None, {"stop_token_ids": [ord("c")]})):
        model.generation_config.eos_token_id = end
        engine = pv.Engine(model, byte_tokenizer, block_size=4, num_device_blocks=64)
        script(engine, "abcde", 2)
        best = engine.generate("xy", temperature=0, max_tokens=5, **params, **sampling)[0].outputs[0]
        assert (best.text, best.token_ids, best.finish_reason) == ("ab", tuple(b"abc"), "stop")


def test_without_max_tokens_a_request_ends_where_the_pool_ends(byte_engine):
    engine = byte_engine(num_device_blocks=5, block_size=3)
    last = stream(engine, max_tokens=None, ignore_eos=True)[-1]
    assert (len(last.token_ids), last.finish_reason) == (15 + 1 - 2, "length")


def test_without_max_tokens_a_request_ends_where_the_models_positions_end(new_tiny):
    import pagedviz as pv

    model = new_tiny("llama", num_hidden_layers=1, max_position_embeddings=12)
    engine = pv.Engine(model, block_size=4, num_device_blocks=16)
    last = stream(engine, [3, 4], max_tokens=None)[-1]
    assert (len(last.token_ids), last.finish_reason) == (12 + 1 - 2, "length")
    assert last.text == ""


@pytest.mark.model
@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! 1 + 1 = 2.",
        "naïve 👩‍👩‍👧 café — 漢字 \n\n  indented\ttabs",
        " 👍🏽 ",
        "<|im_start|>x<|im_end|>",
    ],
)
def test_pieces_of_a_real_tokenizer_add_up_to_its_own_text(tokenizer, text):
    prompt = tokenizer("The prompt")["input_ids"]
    tokens = tokenizer(text)["input_ids"]
    state, shown = begin(tokenizer, prompt), [""]
    for count in range(1, len(tokens) + 1):
        state = advance(tokenizer, state, [*prompt, *tokens[:count]])
        assert state.text.startswith(shown[-1])
        assert not state.text.endswith("\ufffd")
        shown.append(state.text)
    assert state.text == tokenizer.decode(tokens, skip_special_tokens=True)
