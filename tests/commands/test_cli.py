"""The command line, with a tiny model in a folder."""

import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import pagedviz as pv
from pagedviz.cli import main
from pagedviz.commands import COMMANDS
from pagedviz.commands.options import show


@pytest.fixture(scope="module")
def folder(tmp_path_factory, new_tiny):
    """A model folder with weights and a tokenizer, as a user would have one."""
    path = tmp_path_factory.mktemp("model")
    new_tiny("llama").save_pretrained(path)
    words = {word: index for index, word in enumerate(["<unk>", *(f"w{number}" for number in range(200))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(path)
    return str(path)


@pytest.fixture
def recorded(folder, tmp_path, capsys):
    """The path of a recorded run, and what recording it printed as JSON."""
    path = str(tmp_path / "run.pvtrace")
    options = ["--model", folder, "--max-tokens", "6", "-n", "2", "--block-size", "4", "--out", path, "--json"]
    assert main(["record", "w1 w2 w3 w4 w5", "w7", *options]) == 0
    return path, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert COMMANDS[command].__doc__.split()[0] in capsys.readouterr().out


def test_record_writes_a_trace_that_holds_the_run(recorded):
    path, told = recorded

    trace = pv.Trace.load(path)

    assert told["steps"] == trace.num_steps
    assert told["events"] == trace.num_events
    assert [len(texts) for texts in told["texts"]] == [2, 2]
    assert sum(isinstance(event, pv.events.SequenceForked) for event in trace.events) == 2


def test_record_prints_texts_and_memory_for_people(folder, tmp_path, capsys):
    assert (
        main(["record", "w1 [bold]w2", "--model", folder, "--max-tokens", "3", "--out", str(tmp_path / "t")]) == 0
    )

    told = capsys.readouterr().out
    assert "w1 [bold]w2" in told
    assert "token slots" in told


def test_view_tells_the_state_at_a_step(recorded, tmp_path, capsys):
    path, _ = recorded
    svg = tmp_path / "picture.svg"

    assert main(["view", path, "--step", "2", "--svg", str(svg), "--json"]) == 0

    state = pv.Trace.load(path).state_at(2)
    told = json.loads(capsys.readouterr().out)
    assert told["step"] == 2
    assert {int(block) for block in told["blocks"]["device"]} == set(state.blocks["device"])
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    assert main(["view", path]) == 0
    assert "sequence 0 (r0, finished)" in capsys.readouterr().out


@pytest.fixture
def desk(monkeypatch, tmp_path):
    """Somebody sits at the terminal: what the browser is asked to open."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.setattr("pagedviz.commands.view._somebody_sits_there", lambda: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return opened


def test_view_opens_the_page_of_the_run_in_the_browser(recorded, desk, capsys):
    path, _ = recorded

    assert main(["view", path]) == 0

    (url,) = desk
    page = Path(url2pathname(urlsplit(url).path))
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    assert page.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    "options", [["--no-open"], ["--text"], ["--step", "1"], ["--json"], ["--svg", "a"], ["--html", "a"]]
)
def test_view_opens_nothing_when_something_else_was_asked_for(recorded, desk, monkeypatch, tmp_path, options):
    monkeypatch.chdir(tmp_path)

    assert main(["view", recorded[0], *options]) == 0
    assert desk == []


def test_view_opens_nothing_where_nobody_sits(recorded, desk, monkeypatch):
    monkeypatch.setattr("pagedviz.commands.view._somebody_sits_there", lambda: False)

    assert main(["view", recorded[0]]) == 0
    assert desk == []


def test_view_says_when_there_is_no_browser(recorded, desk, monkeypatch, capsys):
    monkeypatch.setattr("webbrowser.open", lambda _: False)

    assert main(["view", recorded[0]]) == 0
    assert "no browser could be opened" in capsys.readouterr().out


def test_view_writes_the_page(recorded, tmp_path, capsys):
    path, _ = recorded
    page = tmp_path / "run.html"

    assert main(["view", path, "--html", str(page)]) == 0

    pv.Trace.load(path).to_html(tmp_path / "same.html")
    assert page.read_bytes() == (tmp_path / "same.html").read_bytes()
    assert f"page: {page}" in capsys.readouterr().out.replace("\n", "")
    assert main(["view", path, "--html", "/no/such/folder/x.html"]) == 1
    assert "cannot write the page '/no/such/folder/x.html'" in capsys.readouterr().err


def test_view_of_a_damaged_trace(recorded, tmp_path, capsys):
    lines = Path(recorded[0]).read_bytes().splitlines(keepends=True)
    path = tmp_path / "damaged.pvtrace"
    path.write_bytes(b"".join([*lines[:4], b"oops\n", *lines[5:]]))

    assert main(["view", str(path)]) == 1
    assert "damaged.pvtrace: line 5 is damaged" in capsys.readouterr().err
    assert main(["view", str(path), "--sound-part"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("pagedviz: ")
    assert "line 5 is damaged" in told.err
    assert "sequence 0" in told.out
    path.write_bytes(b"".join(lines)[:-5])
    for command in ("view", "info"):
        assert main([command, str(path)]) == 0
        assert "damaged.pvtrace is cut off behind line" in capsys.readouterr().err


def test_info_describes_a_trace_and_the_machine(recorded, capsys):
    path, _ = recorded

    assert main(["info", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["block_size"] == 4
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attention 'torch'"] == "runs here"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["view", "nowhere.pvtrace"], "nowhere.pvtrace"),
        (["record", "hello", "--model", "no-such-model"], "no-such-model"),
        (["record", "hello", "--block-size", "0"], "block_size=0"),
    ],
)
def test_our_errors_are_told_in_one_line(arguments, told, capsys):
    assert main(arguments) == 1

    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message


def test_view_of_a_step_that_never_was(recorded, capsys):
    path, _ = recorded

    assert main(["view", path, "--step", "999"]) == 1
    assert "999" in capsys.readouterr().err


def test_demo_writes_a_trace_and_a_picture(folder, tmp_path, capsys):
    assert main(["demo", "--model", folder, "--max-tokens", "5", "--out", str(tmp_path / "out")]) == 0

    assert "Why is the sky blue?" in capsys.readouterr().out
    trace = pv.Trace.load(tmp_path / "out" / "demo.pvtrace")
    assert sum(isinstance(event, pv.events.RequestFinished) for event in trace.events) == 3
    assert (tmp_path / "out" / "demo.svg").read_text(encoding="utf-8").startswith("<svg")


def test_bench_equality_compares_every_token(folder, capsys):
    options = ["--model", folder, "--max-tokens", "8", "--block-sizes", "1", "16", "--json"]

    assert main(["bench", "equality", *options]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["block_size"], row["run"]) for row in rows] == [
        (1, "batched"), (1, "alone"), (16, "batched"), (16, "alone"),
    ]  # fmt: skip
    assert all(row["equal"] and row["tokens_compared"] == 8 * 8 for row in rows)


@pytest.mark.parametrize("what", ["throughput", "recording"])
def test_bench_measures_both_sides_and_keeps_a_csv(what, folder, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    options = [
        "--model",
        folder,
        "--max-tokens",
        "4",
        "--batches",
        "2",
        "--rounds",
        "2",
        "--csv",
        str(path),
        "--json",
    ]

    assert main(["bench", what, *options]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 1
    assert rows[0]["batch"] == 2
    assert path.read_text(encoding="utf-8").splitlines()[0].startswith("batch,new_tokens,")


def test_text_is_shown_as_it_is(capsys):
    show("a :smile: [bold]b[/bold]", "\x1b]0;owned\x07", bold=1)

    assert capsys.readouterr().out == "a :smile: [bold]b[/bold]\ufffd]0;owned\ufffd\n"


def test_a_file_that_cannot_be_written_is_told_in_one_line(recorded, capsys):
    path, _ = recorded

    assert main(["view", path, "--svg", "/no/such/folder/x.svg"]) == 1
    assert "/no/such/folder/x.svg" in capsys.readouterr().err
