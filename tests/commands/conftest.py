"""A model folder for the commands."""

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory, new_tiny):
    """A model folder with weights and a tokenizer, as a user would have one."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("model")
    new_tiny("llama").save_pretrained(path)
    words = {word: index for index, word in enumerate(["<unk>", *(f"w{number}" for number in range(200))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(path)
    return str(path)
