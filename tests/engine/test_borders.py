"""No text is lost at the border of prompt and answer, wherever in a character that lies."""

import functools
import itertools

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import pagedviz as pv
from pagedviz.engine.detokenize import advance, begin
from pagedviz.events import TokenAppended

OPEN = "\ufffd"
CORPUS = ["Hello, world! the then there 🌶🌶 🌶 fine day", "naïve café 漢字 漢 👩‍👩‍👧 😀😃", " x🌶 a漢 b😀 été"]


def byte_level():
    """As GPT-2's; learnt on characters of several bytes, so that tokens hold ends and beginnings of them."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, special_tokens=["<eos>"])
    made.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>")


def byte_fallback():
    """As Llama's: what its vocabulary lacks is spelt in bytes, and a space is the beginning of a word."""
    letters = ["▁", *"abcdefghinorstuvwxyHeld,!é"]
    merges = [("▁", "t"), ("▁", "a"), ("h", "e"), ("▁t", "he"), ("▁", "x")]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    names += ["".join(pair) for pair in merges]
    vocab = {name: index for index, name in enumerate(dict.fromkeys(names))}
    made = tokenizers.Tokenizer(models.BPE(vocab, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS = {"byte-level": functools.cache(byte_level), "byte-fallback": functools.cache(byte_fallback)}
TEXTS = st.text(st.sampled_from("ab xéth,漢字🌶😀\u200d\n") | st.characters(codec="utf-8", exclude_characters=OPEN))


def decode(tokenizer, tokens):
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def answered(tokenizer, prompt, answer, **options):
    """The text after each of the answer's tokens."""
    state, texts = begin(tokenizer, prompt, **options), []
    for count in range(1, len(answer) + 1):
        state = advance(tokenizer, state, [*prompt, *answer[:count]])
        texts.append(state.text)
    return texts


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=150)
@given(text=TEXTS.filter(bool))
@example(text="It is a 🌶 fine day")
@example(text="漢字🌶😀 x🌶")
@example(text="a漢b " * 4)
def test_prompt_and_answer_have_the_text_of_both_at_every_border(kind, text):
    tokenizer = TOKENIZERS[kind]()
    tokens = tokenizer(text)["input_ids"]
    whole = decode(tokenizer, tokens)
    for border in range(1, len(tokens)):
        prompt, answer = tokens[:border], tokens[border:]
        sound = decode(tokenizer, prompt).rstrip(OPEN)
        texts = answered(tokenizer, prompt, answer)
        assert sound + texts[-1] == whole
        for earlier, later in itertools.pairwise(texts):
            assert later.startswith(earlier)
        assert all(whole.startswith(sound + shown) for shown in texts)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=60)
@given(prompt=st.lists(st.integers(3, 258), min_size=1, max_size=12), text=TEXTS)
def test_a_prompt_of_any_bytes_loses_nothing_of_its_answer(kind, prompt, text):
    tokenizer = TOKENIZERS[kind]()
    answer = tokenizer(text + " the end")["input_ids"]
    assert answered(tokenizer, prompt, answer)[-1].endswith(f"{text} the end"[1:])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_replacement_character_of_a_text_is_not_said_again(kind):
    tokenizer = TOKENIZERS[kind]()
    prompt, both = (tokenizer(text)["input_ids"] for text in ("a " + OPEN, f"a {OPEN} the end"))
    assert both[: len(prompt)] == prompt
    assert answered(tokenizer, prompt, both[len(prompt) :], whole=True)[-1] == " the end"


def test_bytes_that_are_no_character_do_not_take_back_what_was_shown():
    tokenizer = TOKENIZERS["byte-fallback"]()
    spelt = [tokenizer.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in "漢".encode() + b"\xf0"]
    texts = answered(tokenizer, tokenizer("the")["input_ids"], [*spelt, *tokenizer(" a")["input_ids"]])
    assert texts[2] == "漢"
    assert texts[-1].startswith(f"漢{OPEN}")
    assert texts[-1].endswith(" a")


def test_an_answer_that_is_cut_short_shows_what_is_whole_of_its_last_token():
    tokenizer = TOKENIZERS["byte-level"]()
    both = [
        token for token in range(1, len(tokenizer)) if decode(tokenizer, [token]).rstrip(OPEN) not in ("", OPEN)
    ]
    (mixed, *_) = [token for token in both if decode(tokenizer, [token]).endswith(OPEN)]
    prompt = tokenizer("the")["input_ids"]
    assert answered(tokenizer, prompt, [mixed])[-1] == decode(tokenizer, [mixed]).rstrip(OPEN)


def test_an_engine_shows_the_character_that_its_prompt_begins(byte_engine, script):
    engine, pieces = byte_engine(), []
    engine.subscribe(lambda batch: pieces.extend(e.text for e in batch.events if isinstance(e, TokenAppended)))
    whole = "a 🌶 fine day".encode()
    for border in range(1, len(whole) - 1):
        script(engine, whole[border:], border)
        del pieces[:]
        shown = [out.outputs[0].text for out in engine.stream([*whole[:border]], temperature=0, stop_token_ids=[0])]
        sound = whole[:border].decode(errors="ignore")
        assert sound + shown[-1] == whole.decode()
        assert "".join(pieces) == shown[-1]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))


def test_a_prompt_that_the_tokenizer_cannot_decode_is_told_at_the_call(byte_engine, monkeypatch):
    engine = byte_engine()

    def refuses(tokens, **options):
        raise IndexError("piece id is out of range")

    monkeypatch.setattr(engine.tokenizer.__class__, "decode", staticmethod(refuses))
    with pytest.raises(pv.RequestError, match=r"cannot decode.*out of range"):
        engine.add_request([200, 3])
    assert not engine.has_unfinished_requests()
