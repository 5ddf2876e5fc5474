"""Conversations: the tokens of earlier turns stay what they were, so that all of them are found in the cache."""

import threading

import pytest
import torch

import pagedviz as pv
from pagedviz.session import Conversation

END = 257  # <|im_end|>
SIZE = 4
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('!')[-1] | trim }}"
    "{% else %}{{ m.content | trim }}{% endif %}<|im_end|>\n{% endfor %}<|im_start|>assistant"
)


@pytest.fixture
def talking(new_tiny, chat_tokenizer):
    """``talking(answers, *template)``: a session whose model gives these answers, each a list of token ids."""
    runs = []

    def make(answers, *template):
        model = new_tiny("llama", vocab_size=259, num_hidden_layers=1)
        model.generation_config.eos_token_id = END
        engine = pv.Engine(model, chat_tokenizer(*template), block_size=SIZE, num_device_blocks=256)
        sample, left = engine._core.sampler.sample, [token for answer in answers for token in answer]

        def scripted(items, logits):
            for row, item in enumerate(items):
                if item.start + item.count == len(item.sequence.tokens):
                    logits[row] = torch.full_like(logits[row], -10.0)
                    logits[row, left.pop(0)] = 10.0
            return sample(items, logits)

        engine._core.sampler.sample = scripted
        session = pv.Session(engine)
        runs.append((engine, session))
        return session

    yield make
    for engine, session in runs:
        session.close()
        engine.audit()


def ids(session, text):
    return session.engine.tokenizer(text, add_special_tokens=False)["input_ids"]


def whole_blocks(count):
    return count // SIZE * SIZE


def test_who_talks_is_a_session(talking):
    with pytest.raises(pv.ConfigError, match=r"Conversation\(session=Engine\): .*pv.Session\(engine\)"):
        Conversation(talking([]).engine)


def test_each_prompt_is_the_turns_before_and_all_of_them_are_found(talking):
    text = ids(talking([]), "Because of the dust.")
    session = talking([[*text, END], [*text, END], [*text, END]])
    chat = Conversation(session, system="Be brief.", temperature=0)

    assert chat.session is session
    first, second, third = (chat.say(f"Why {number}?") for number in range(3))

    tokenizer = session.engine.tokenizer
    expected = tokenizer.apply_chat_template(chat.messages[:-1], add_generation_prompt=True, return_dict=False)
    assert list(third.prompt_token_ids) == expected
    assert (first.text, str(second), second.token_ids) == ("Because of the dust.",) * 2 + ((*text, END),)
    assert first.found_tokens == 0
    for before, after in ((first, second), (second, third)):
        assert after.prompt_token_ids[: len(before.prompt_token_ids)] == before.prompt_token_ids
        # The end token was drawn last: nothing was computed for it.
        assert after.found_tokens == whole_blocks(len(before.prompt_token_ids) + len(before.token_ids) - 1)
    assert [message["role"] for message in chat.messages] == ["system"] + ["user", "assistant"] * 3
    assert chat.turns == (first, second, third)
    assert repr(third) == (
        f"<Turn r2, {third.found_tokens} of {len(expected)} prompt tokens found: 'Because of the dust.'>"
    )


def test_tokens_that_their_text_would_not_become_again_stay(talking, chat_tokenizer):
    session = talking([])
    tokenizer = session.engine.tokenizer
    tokenizer.add_tokens(["dust"])  # beyond the vocabulary of the model: encoding its own text anew would fail
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "dust"]
    assert ids(session, "dust") == [len(tokenizer) - 1] != letters
    answers = [[*letters, END], [*letters, END]]
    session = talking(answers)
    session.engine.tokenizer.add_tokens(["dust"])
    chat = Conversation(session, temperature=0)

    first, second = chat.say("What?"), chat.say("Really?")

    assert first.text == "dust"
    assert second.prompt_token_ids[len(first.prompt_token_ids) :][:5] == (*letters, END)
    assert second.found_tokens == whole_blocks(len(first.prompt_token_ids) + len(letters))


@pytest.mark.parametrize(("limit", "ended"), [(20, True), (6, False)])
def test_what_a_template_would_leave_out_or_trim_stays(talking, limit, ended):
    wrote = ids(talking([]), " hm! dust ")
    session = talking([[*wrote, END][:limit], [END]], THINKS)
    chat = Conversation(session, temperature=0, max_tokens=limit)

    first, second = chat.say("Why? "), chat.say(" Really?")

    assert (first.output.outputs[0].finish_reason == "stop") is ended
    kept = (*first.prompt_token_ids, *wrote[:limit])
    assert second.prompt_token_ids[: len(kept)] == kept
    between = "<|im_end|>\n<|im_start|>user\nReally?<|im_end|>\n<|im_start|>assistant"
    assert list(second.prompt_token_ids[len(kept) :]) == ids(session, between)
    assert second.found_tokens >= whole_blocks(len(kept) - 1)


def test_a_template_that_begins_with_a_letter_or_shows_no_answers(talking):
    plain = "{% for m in messages %}{{ m.role[0] }}: {{ m.content }}\n{% endfor %}a:"
    session = talking([[65, 66, END], [65, END]], plain)
    chat = Conversation(session, temperature=0)
    first, second = chat.say("one"), chat.say("two")
    assert list(second.prompt_token_ids) == [*first.prompt_token_ids, 65, 66, *ids(session, "\nu: two\na:")]

    session = talking(
        [[65, END], [65, END]], "{% for m in messages if m.role == 'user' %}{{ m.content }};{% endfor %}"
    )
    chat = Conversation(session, temperature=0)
    chat.say("one")
    assert list(chat.say("two").prompt_token_ids) == ids(session, "one;two;")


def test_the_answer_may_be_waited_for_elsewhere_and_the_next_question_needs_it(talking):
    session = talking([[65] * 8, [66, END]])
    chat = Conversation(session, temperature=0, max_tokens=8)
    held = threading.Event()
    session.engine.subscribe(lambda batch: held.wait(60) if batch.step == 3 else None)

    turn = chat.say("one", wait=False)
    with pytest.raises(pv.SessionError, match=r"answer to 'one' is not finished.*session.abort\('r0'\)"):
        chat.say("two")
    assert not turn.finished
    held.set()
    session.run()

    assert (turn.finished, turn.token_ids) == (True, (65,) * 8)
    assert chat.say("two").finished
    assert len(chat.turns) == 2


def test_say_returns_where_the_run_stands_and_an_answer_may_be_ended(talking):
    session = talking([[65] * 8, [66, END]])
    chat = Conversation(session, temperature=0, max_tokens=8)
    stop = session.break_on("TokenAppended")

    turn = chat.say("one")
    assert (turn.finished, turn.token_ids, session.status.state) == (False, (65,), "paused")
    assert "not finished" in repr(turn)
    stop.remove()
    session.step(2)
    assert session.abort(turn.request_id)
    assert (turn.finished, turn.token_ids) == (True, (65,) * 3)
    assert chat.messages[-1]["content"] == turn.text


def test_a_failure_is_raised_and_the_answer_goes_on(talking, monkeypatch):
    session = talking([[65, END]])
    chat = Conversation(session, temperature=0)
    with monkeypatch.context() as patch:
        patch.setattr(session.engine._core.runner, "run", None)
        with pytest.raises(pv.SessionError, match="not callable"):
            chat.say("one")

    session.run()

    assert (chat.turns[0].finished, chat.turns[0].token_ids) == (True, (65, END))


def test_a_question_that_is_refused_is_no_turn(talking):
    session = talking([[65, END]])
    chat = Conversation(session, pv.SamplingParams(temperature=0))
    for text, options, said in (
        (7, {}, "must be a text"),
        ("one", {"max_tokens": 0}, "not both"),
        ("one", {"params": {"max_tokens": 0}}, "max_tokens=0"),
        ("one", {"params": {"n": 2}}, "n=2: a conversation goes on from one answer"),
    ):
        with pytest.raises(pv.RequestError, match=said):
            chat.say(text, **options)
    assert (chat.turns, chat.messages) == ((), [])
    with pytest.raises(pv.RequestError, match="n=3"):
        Conversation(session, n=3)
    with pytest.raises(pv.RequestError, match="not both"):
        Conversation(session, pv.SamplingParams(), temperature=0)
    with pytest.raises(pv.RequestError, match="has no chat template"):
        Conversation(talking([], None)).say("one")
    assert chat.say("one").finished
    session.close()
    with pytest.raises(pv.SessionError, match="closed"):
        chat.say("two")
    assert chat.turns[0].text == "b"  # what was said stays


def test_answers_are_longer_than_sixteen_tokens_unless_it_is_said(talking):
    session = talking([[65] * 256, [65] * 20])
    chat = Conversation(session, temperature=0)
    assert len(chat.say("one").token_ids) == 256
    assert len(chat.say("two", max_tokens=20).token_ids) == 20
