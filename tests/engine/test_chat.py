"""Messages as prompts: the template is the model's, and what cannot be put by it is told at the call."""

import pytest

import pagedviz as pv

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Héllo"}]
PUT = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHéllo<|im_end|>\n<|im_start|>assistant\n"
GREEDY = {"temperature": 0, "max_tokens": 4}


@pytest.fixture
def chat_engine(tiny, chat_tokenizer):
    def make(*template):
        model = tiny("llama", vocab_size=259, num_hidden_layers=1)
        return pv.Engine(model, chat_tokenizer(*template), block_size=4, num_device_blocks=128)

    return make


def test_messages_are_put_by_the_template_and_no_special_token_is_added(chat_engine):
    engine = chat_engine()
    (output,) = engine.chat(HELLO, **GREEDY)
    engine.audit()
    expected = engine.tokenizer.apply_chat_template(HELLO, add_generation_prompt=True, return_dict=False)
    assert output.prompt == PUT
    assert list(output.prompt_token_ids) == expected
    assert expected.count(engine.tokenizer.bos_token_id) == 0
    assert engine.tokenizer(PUT)["input_ids"][0] == engine.tokenizer.bos_token_id  # as a text it would get one
    assert len(output.outputs[0].token_ids) == 4


def test_a_list_of_messages_is_a_prompt_wherever_one_is_taken(chat_engine):
    engine = chat_engine()
    other = [{"role": "user", "content": "you"}]
    ids = list(engine.chat(HELLO, **GREEDY)[0].prompt_token_ids)

    both = engine.generate([HELLO, "plain text", other, [1, 2, 3]], **GREEDY)
    assert [list(output.prompt_token_ids)[: len(ids)] == ids for output in both] == [True, False, False, False]
    assert [output.prompt for output in both][1::2] == ["plain text", None]
    assert "<|im_start|>user\nyou<|im_end|>" in both[2].prompt

    assert list(engine.generate(HELLO, **GREEDY)[0].prompt_token_ids) == ids
    assert [list(output.prompt_token_ids) for output in engine.stream(HELLO, **GREEDY)][-1] == ids
    name = engine.add_request(tuple(HELLO), **GREEDY)
    (told,) = [output for output in engine.step() if output.request_id == name]
    assert list(told.prompt_token_ids) == ids


def test_several_conversations_and_a_parameter_for_each(chat_engine):
    engine = chat_engine()
    each = [pv.SamplingParams(max_tokens=count, temperature=0) for count in (2, 3)]

    outputs = engine.chat([HELLO, HELLO[1:]], each)

    assert [len(output.outputs[0].token_ids) for output in outputs] == [2, 3]
    assert engine.chat([], **GREEDY) == []


def test_the_last_message_can_be_continued(chat_engine):
    begun = [*HELLO, {"role": "assistant", "content": "Good d"}]

    (output,) = chat_engine().chat(begun, add_generation_prompt=False, continue_final_message=True, **GREEDY)

    assert output.prompt == PUT + "Good d"


def test_a_template_of_ones_own_and_what_it_asks_for(chat_engine):
    template = "{{ greeting }}{% for message in messages %}[{{ message.content }}]{% endfor %}"

    (output,) = chat_engine(None).chat(
        HELLO, chat_template=template, chat_template_kwargs={"greeting": "So: "}, **GREEDY
    )

    assert output.prompt == "So: [Be brief.][Héllo]"


def test_text_parts_are_joined_and_a_call_of_a_tool_needs_no_text(chat_engine):
    parts = [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}]
    assert "user\none\ntwo<|im_end|>" in chat_engine().chat(parts, **GREEDY)[0].prompt

    calls = [{"role": "assistant", "tool_calls": [{"name": "clock"}]}]
    template = "{% for m in messages %}{{ m.tool_calls[0].name }}{% endfor %}"
    assert chat_engine(template).chat(calls, **GREEDY)[0].prompt == "clock"


@pytest.mark.parametrize(
    ("messages", "options", "said"),
    [
        ([{"role": "user"}], {}, "message 0 has content=None: must be a text"),
        ([{"content": "a"}], {}, "message 0 has role=None"),
        ([*HELLO, {"role": 3, "content": "a"}], {}, "message 2 has role=3"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}, "this engine reads text only"),
        ([{"role": "user", "content": []}], {}, "must be a text"),
        ("hello", {}, "messages='hello': must be a list of messages"),
        ({"role": "user", "content": "a"}, {}, "must be a list of messages"),
        ([HELLO, "hello"], {}, "messages='hello': must be a list of messages"),
        ([HELLO, []], {}, r"messages=\[\]: must be a list of messages"),
        (7, {}, "messages=7: must be a list of messages"),
        (HELLO, {"continue_final_message": True}, "add_generation_prompt=False"),
        (HELLO, {"chat_template": "{{ raise_exception('Roles must alternate') }}"}, "Roles must alternate"),
        (HELLO, {"chat_template": "{% if %}"}, "the chat template does not take these messages"),
        ([{"role": "user", "content": "\ud83d"}], {}, "cannot be tokenized"),
    ],
)
def test_what_are_no_messages_is_refused_and_nothing_is_begun(chat_engine, messages, options, said):
    engine = chat_engine()
    with pytest.raises(pv.RequestError, match=said):
        engine.chat(messages, **options, **GREEDY)
    assert not engine.has_unfinished_requests()


def test_a_model_without_a_template_says_so_and_what_to_do(chat_engine, byte_engine, tiny):
    with pytest.raises(pv.RequestError, match=r"has no chat template.*chat_template=.*engine\.tokenizer"):
        chat_engine(None).generate(HELLO, **GREEDY)
    with pytest.raises(pv.RequestError, match="the engine has a ByteTokenizer: give a text or token ids"):
        byte_engine().chat(HELLO, **GREEDY)
    with pytest.raises(pv.RequestError, match="the engine has none: give a text or token ids"):
        pv.Engine(tiny("llama"), block_size=4, num_device_blocks=8).add_request(HELLO, **GREEDY)


@pytest.mark.model
def test_the_model_that_we_have_brings_its_template(smollm2):
    engine = pv.Engine(*smollm2, block_size=16, num_device_blocks=32)
    (output,) = engine.chat(
        [{"role": "user", "content": "What is the capital of France?"}], **GREEDY | {"max_tokens": 16}
    )
    assert output.prompt.endswith("What is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
    assert "Paris" in output.outputs[0].text
