"""A .gguf file is converted once: its copy is found by what is in the file, and made by one process."""

import json
import os
import shutil
import subprocess
import sys

import gguf
import numpy as np
import pytest
import torch

import pagedviz as pv
from pagedviz.cli import main
from pagedviz.models import copies, weights


def write_gguf(path, seed=0):
    """A tiny Llama with random weights and a tokenizer of single bytes."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    tokens = ["<end>", "ab", *(chr(code) for code in range(33, 127))]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_token_types([3, *[1] * (len(tokens) - 1)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    numbers = np.random.default_rng(seed)
    sizes = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
    sizes |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    shapes = {f"blk.0.{name}.weight": size for name, size in sizes.items()}
    shapes |= {"blk.0.attn_norm.weight": (32,), "blk.0.ffn_norm.weight": (32,), "output_norm.weight": (32,)}
    shapes |= {"token_embd.weight": (len(tokens), 32), "output.weight": (len(tokens), 32)}
    for name, size in shapes.items():
        writer.add_tensor(name, numbers.normal(0, 0.3, size).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGEDVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def conversions(monkeypatch):
    """The files that were converted."""
    made = []
    convert = weights._convert
    monkeypatch.setattr(weights, "_convert", lambda path, dtype: made.append(path.name) or convert(path, dtype))
    return made


def ours(path, dtype="float32"):
    engine = pv.Engine.from_pretrained(path, dtype=dtype, num_device_blocks=16)
    return engine.generate([[5, 6, 7]], max_tokens=8, temperature=0, ignore_eos=True)[0].outputs[0].token_ids


def test_a_file_is_converted_once_and_found_by_its_content(tmp_path, cache, conversions, capfd):
    one = write_gguf(tmp_path / "one.gguf")
    first = ours(one)
    assert "gguf tensors" in capfd.readouterr().err.lower(), "the conversion shows how far it is"
    assert ours(one) == first
    assert ours(one.rename(tmp_path / "sub.gguf")) == first
    assert conversions == ["one.gguf"]
    assert ours(write_gguf(tmp_path / "sub.gguf", seed=1)) != first
    assert len(conversions) == 2
    assert weights.load(tmp_path / "sub.gguf", "auto")[0].dtype == torch.bfloat16
    assert len(conversions) == 3, "float32 weights are not those of a bfloat16 copy"
    assert len(copies.copies()) == 3
    assert not list(cache.glob("*unfinished*"))


def test_an_unfinished_copy_is_made_anew(tmp_path, cache, conversions):
    file = write_gguf(tmp_path / "one.gguf")
    expected = ours(file)
    (copy,) = copies.copies()
    (copy / "config.json").unlink()
    copy.with_name(f".{copy.name}.unfinished").mkdir()
    assert ours(file) == expected
    assert len(conversions) == 2
    assert list(copies.copies()) == [copy]


def test_a_copy_that_is_being_written_is_none(tmp_path, cache):
    ours(write_gguf(tmp_path / "one.gguf"))
    (copy,) = copies.copies()
    shutil.copytree(copy, copy.with_name(f".{copy.name}.unfinished"))
    assert list(copies.copies()) == [copy]


SCRIPT = """
import os, sys
import gguf
from transformers import AutoTokenizer, LlamaForCausalLM  # what takes long, once for both processes
from pagedviz.models import weights
convert, load_or_convert = weights._convert, weights.load_or_convert

def wait(*given, **named):
    print("knows where", flush=True)
    os.read(0, 1)
    return load_or_convert(*given, **named)

weights.load_or_convert = wait
weights._convert = lambda *given: print("converts", flush=True) or convert(*given)
both = []
for file in sys.argv[1:]:
    both.append(os.fork())
    if not both[-1]:
        weights.load(file)
        os._exit(0)  # a failure ends it with 1
print(*(os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in both))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_two_processes_at_once_convert_equal_files_once(tmp_path, cache):
    files = [write_gguf(tmp_path / f"{name}.gguf") for name in ("one", "two")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    forking = subprocess.Popen([sys.executable, "-c", SCRIPT, *map(str, files)], **pipes)
    assert [forking.stdout.readline() for _ in files] == ["knows where\n"] * 2
    told, _ = forking.communicate("xx")
    assert told == "converts\n0 0\n"
    assert len(copies.copies()) == 1


def test_where_nothing_can_be_kept_the_model_is_there_all_the_same(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "one.gguf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PAGEDVIZ_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="set PAGEDVIZ_CACHE"):
        assert ours(file)


def test_an_alias_that_cannot_be_kept_has_the_dtype_that_was_asked_for(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "one.gguf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PAGEDVIZ_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(weights, "_from_hub_cache", lambda *given: None)
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    monkeypatch.setattr(weights, "_file_in_wheel", lambda *given: file)
    with pytest.warns(UserWarning, match="set PAGEDVIZ_CACHE"):
        model, _ = weights.load("smollm2-135m", "float32")
    assert model.dtype == torch.float32


def test_a_conversion_that_fails_is_tried_once_and_told_as_what_it_is(cache):
    tried = []

    def convert():
        tried.append(1)
        raise OSError("not a good file")

    with pytest.raises(OSError, match="not a good file"):
        copies.load_or_convert(cache / "copy", convert, lambda copy: copy)
    assert len(tried) == 1


def test_info_lists_the_copies(tmp_path, cache, capsys):
    ours(write_gguf(tmp_path / "one.gguf"))
    (copy,) = copies.copies()
    capsys.readouterr()
    main(["info", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert str(copy) in told[f"copy {copy.name!r}"]
    assert str(cache) in told["converted copies"]
    assert "may be removed" in told["converted copies"]
