"""The command line, with a tiny model in a folder."""

import json
import re
import shutil
from inspect import signature
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

import pagedviz as pv
from pagedviz.attention import BACKENDS
from pagedviz.cli import main
from pagedviz.commands import COMMANDS
from pagedviz.commands.bench import BENCHMARKS
from pagedviz.commands.options import show
from pagedviz.figures.picture.picture import picture_of


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

    assert Path(path).stat().st_size < len(trace.to_bytes()) / 2  # it is packed
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


def test_record_can_put_prompts_as_messages(folder, tmp_path, capsys):
    from transformers import AutoTokenizer

    path = tmp_path / "t"
    asked = ["record", "w1 w2", "w3", "--chat", "--max-tokens", "3", "--out", str(path)]
    assert main([*asked, "--model", folder]) == 1
    assert "the tokenizer has no chat template" in capsys.readouterr().err
    assert not path.exists()

    chatty = str(tmp_path / "model")
    shutil.copytree(folder, chatty)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for message in messages %}w9 {{ message['content'] }} w8{% endfor %}"
    tokenizer.save_pretrained(chatty)
    assert main([*asked, "--model", chatty]) == 0

    told = capsys.readouterr().out
    assert ("w1 w2\n" in told, "w9" in told.split("memory after")[0]) == (True, False)
    added = [event for event in pv.Trace.load(path).events if isinstance(event, pv.events.RequestAdded)]
    assert [event.prompt for event in added] == [(10, 2, 3, 9), (10, 4, 9)]


def test_view_tells_the_state_at_a_step(recorded, tmp_path, capsys):
    path, _ = recorded
    svg = tmp_path / "picture.svg"

    assert main(["view", path, "--step", "2", "--svg", str(svg), "--json"]) == 0

    state = pv.Trace.load(path).state_at(2)
    told = json.loads(capsys.readouterr().out)
    assert told["step"] == 2
    assert {int(block) for block in told["blocks"]["device"]} == set(state.blocks["device"])
    assert svg.read_text(encoding="utf-8") == picture_of(pv.Trace.load(path), state)
    assert main(["view", path, "--step", str(pv.Trace.load(path).last_step)]) == 0
    assert "sequence 0 (A; r0, finished): no blocks" in capsys.readouterr().out


def test_view_tells_the_last_state_in_use(recorded, capsys):
    path, told = recorded

    assert main(["view", path]) == 0

    shown = capsys.readouterr().out
    assert f"memory after step {told['steps'] - 1} of {told['steps']}, the last that leaves blocks in use:" in shown
    assert "sequence 0 (A; r0, running): 0>" in shown


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
    lines = pv.Trace.load(recorded[0]).to_bytes().splitlines(keepends=True)
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
    assert main(["info", path]) == 0
    assert "groups: 3 layers (0 to 2), no sliding window\n" in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attention 'torch'"] == "runs here"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["view", "nowhere.pvtrace"], "nowhere.pvtrace"),
        (["record", "hello", "--model", "no-such-model"], "no-such-model"),
        (["record", "hello", "--block-size", "0"], "block_size=0"),
        (["record", "hello", "--device", "nope"], "device='nope' cannot be used here; valid: 'auto', 'cpu'"),
        (["record", "hello", "--out", "/no/such/folder/x"], "cannot write the trace '/no/such/folder/x': "),
        (["bench", "waste", "--csv", "/no/such/folder/x"], "cannot write the CSV '/no/such/folder/x': "),
        (["bench", "waste", "--csv", "/"], "cannot write the CSV '/': it is a folder"),
        (["bench", "blocks", "--eviction", "nope"], "eviction='nope' is unknown; valid: "),
        (["bench", "policies", "--workload", "chat", "--block-size", "0"], "block_size=0: must be 1 or more"),
        (["bench", "policies", "--workload", "chat", "--trace", "x"], "--workload does not go with --trace"),
        (["demo", "--notebook", "nowhere.ipynb", "--out", "."], "'nowhere.ipynb': there is no such file"),
        (["view", __file__], "test_cli.py: not a pagedviz trace: line 1 is no header"),
    ],
)
def test_our_errors_are_told_in_one_line(arguments, told, capsys):
    assert main(arguments) == 1

    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["record", "hello", "--eviction", "nope"], "eviction='nope'"),
        (["record", "hello", "--preemption", "nope"], "preemption='nope'"),
        (["record", "hello", "--num-host-blocks", "-1"], "num_host_blocks=-1"),
        (["record", "hello", "--dtype", "nope"], "dtype='nope'"),
        (["record", "hello", "--max-tokens", "0"], "max_tokens=0"),
        (["record", "hello", "--temperature", "-1"], "temperature=-1.0"),
        (["record", "hello", "-n", "0"], "n=0"),
        (["demo", "--max-tokens", "0"], "max_tokens=0"),
        (["bench", "equality", "--attention", "nope"], "attention='nope'"),
        (["bench", "throughput", "--block-size", "0"], "block_size=0"),
        (["bench", "recording", "--preemption", "nope"], "preemption='nope'"),
    ],
)
def test_a_bad_value_is_told_before_a_model_is_loaded(command, told, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    assert main([*command, "--model", "no-such-model"]) == 1

    assert told in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--rounds", "--batch", "--max-tokens"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_a_benchmark_names_a_count_that_is_none(option, value, capsys):
    with pytest.raises(SystemExit):
        main(["bench", "recording", f"{option}={value}"])

    assert f"argument {option}: {value!r}: must be a whole number, 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_help_and_refuses_what_it_does_not_have(name, capsys):
    with pytest.raises(SystemExit):
        main(["bench", name, "--help"])
    assert "Takes " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["bench", name, "--num-host-blocks" if name != "recording" else "--eviction", "1"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_record_draws_samples_apart_unless_told_otherwise(folder, tmp_path, capsys):
    options = ["record", "w1 w2", "--model", folder, "-n", "3", "--out", str(tmp_path / "t"), "--json"]

    assert main(options) == 0
    told = capsys.readouterr()
    assert len(set(json.loads(told.out)["texts"][0])) == 3
    assert told.err == ""
    assert main([*options, "--temperature", "0"]) == 0
    told = capsys.readouterr()
    assert len(set(json.loads(told.out)["texts"][0])) == 1
    assert told.err == "pagedviz: n=3 with temperature=0: the samples of a prompt are all the same text\n"


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


@pytest.mark.parametrize(("what", "size"), [("throughput", "--batches"), ("recording", "--batch")])
def test_bench_measures_both_sides_and_keeps_a_csv(what, size, folder, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    options = [
        "--model",
        folder,
        "--max-tokens",
        "4",
        size,
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


def test_make_bench_runs_every_benchmark():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert [*re.findall(r"pagedviz bench (\w+)", makefile)] == [*BENCHMARKS]


def test_the_help_names_every_attention_backend(capsys):
    with pytest.raises(SystemExit):
        main(["record", "--help"])
    assert f"auto, {', '.join(BACKENDS)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_asked_for_what_its_measurement_takes(name):
    benchmark = BENCHMARKS[name]
    given = {*benchmark.options, *benchmark.shared}
    given |= {"asked"} if benchmark.engine else set()
    given |= set() if benchmark.note is None else {"on_progress"}
    given |= {"load_trace"} if "trace" in benchmark.options else set()

    assert given == set(signature(benchmark.measure).parameters)


def test_bench_swap_measures_both_sides(folder, capsys):
    assert main(["bench", "swap", "--model", folder, "--rounds", "1", "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    kept = json.loads((Path(__file__).parent / "bench_rows.json").read_text(encoding="utf-8"))["swap"]
    assert [list(row) for row in rows] == [list(row) for row in kept]
    assert [row["block_size"] for row in rows] == [row["block_size"] for row in kept]


def test_bench_trace_measures_a_run_without_a_model(capsys):
    assert main(["bench", "trace", "--events", "3000", "--rounds", "2", "--json"]) == 0

    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert list(rows) == ["record", "encode", "decode", "json.loads", "reduce", "plain", "packed", "state_at"]
    for row in rows.values():
        assert row["events"] >= 3000
        assert 0 < row["p20"] <= row["p50"] <= row["p80"] <= row["max"]
    assert rows["packed"]["p50"] < 20 < rows["plain"]["p50"]


def test_text_is_shown_as_it_is(capsys):
    show("a :smile: [bold]b[/bold]", "\x1b]0;owned\x07", bold=1)

    assert capsys.readouterr().out == "a :smile: [bold]b[/bold]\ufffd]0;owned\ufffd\n"


def test_a_file_that_cannot_be_written_is_told_in_one_line(recorded, tmp_path, capsys):
    path, _ = recorded

    assert main(["view", path, "--svg", "/no/such/folder/x.svg"]) == 1
    told = "pagedviz view: cannot write the picture '/no/such/folder/x.svg': No such file or directory\n"
    assert capsys.readouterr().err == told
    assert main(["view", path, "--svg", str(tmp_path)]) == 1
    assert f"cannot write the picture '{tmp_path}': " in capsys.readouterr().err
