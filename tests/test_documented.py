"""What the documents show in Python runs as it stands there, with a tiny model in place of SmolLM2."""

import re
from pathlib import Path

import pytest

import pagedviz as pv

ROOT = Path(__file__).parents[1]


def shown(page):
    """All Python of a page, one block after the other, as its reader types it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def documented(new_tiny, chat_tokenizer, monkeypatch, tmp_path):
    """Run all Python of a page, behind some names of it; in a folder of its own."""

    def engine(name, **options):
        assert name == "smollm2-135m"
        model = new_tiny("llama", vocab_size=259, num_hidden_layers=1)
        return pv.Engine(model, chat_tokenizer(), **{**options, "num_device_blocks": 2048})

    def run(page, **names):
        for block in shown(page):
            exec(compile(block, page, "exec"), names)
        return names

    monkeypatch.setattr(pv.Engine, "from_pretrained", engine)
    monkeypatch.chdir(tmp_path)
    return run


def test_readme(documented, tmp_path):
    names = documented("README.md")
    assert {path.name for path in tmp_path.iterdir()} == {"run.pvtrace", "run.html", "run.json.gz"}
    assert len(names["chat"].turns) == 2
    assert names["turn"].found_tokens > 0
    names["chat"].session.close()
