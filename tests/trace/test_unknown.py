"""A trace whose header says the sizes and nothing else, and whose tables have absent entries, opens everywhere."""

import gzip
import json
import re

import msgspec
import pytest

import pagedviz as pv
from pagedviz import figures
from pagedviz.cli import main
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.figures.picture.picture import picture, picture_of
from pagedviz.figures.summary import memory_summary
from pagedviz.lab import groups_of, recorded_requests
from pagedviz.trace import Trace

WRONG = re.compile(r"\bNone\b|\bnan\b|\bnull\b|undefined|NaN")
LAST = 30


@pytest.fixture(scope="module")
def run(streams):
    return streams.trace_of(streams.paging_run(2, steps=LAST))


def bare(trace, *, written):
    """The trace, with a header that does not say what may be unknown, or says null (``written``)."""
    told = trace.info
    info = EngineInfo(None, told.block_size, told.num_device_blocks, told.num_host_blocks)
    data = Trace(info, trace.start, trace.batches).to_bytes()
    if written:
        return data
    header, rest = data.split(b"\n", 1)
    head = json.loads(header)
    head["engine"] = {name: fact for name, fact in head["engine"].items() if fact is not None or name == "model"}
    assert len(head["engine"]) == 4
    return json.dumps(head).encode() + b"\n" + rest


@pytest.fixture(params=[True, False], ids=["null", "missing"])
def path(run, tmp_path, request):
    path = tmp_path / "bare.pvtrace"
    path.write_bytes(bare(run, written=request.param))
    return path


def test_it_loads_and_is_called_unknown_model(path, run):
    trace = Trace.load(path)
    assert repr(trace).startswith("<Trace of unknown model: steps 0 to 30")
    assert trace.events == run.events
    facts = msgspec.structs.asdict(trace.info)
    sizes = {name: facts.pop(name) for name in ("block_size", "num_device_blocks", "num_host_blocks")}
    assert sizes == {"block_size": 4, "num_device_blocks": 20, "num_host_blocks": 12}
    assert set(facts.values()) == {None}
    assert Trace.from_bytes(trace.to_bytes()).info == trace.info


def test_the_commands_say_nothing_of_what_is_unknown(path, capsys, tmp_path):
    svg = tmp_path / "run.svg"
    assert main(["view", str(path), "--step", str(LAST), "--svg", str(svg)]) == 0
    told = capsys.readouterr().out
    assert "unknown model, step 30: " in told
    assert re.search(r"sequence \d+ \(\w+; r\d+, running\): .*\d>\u2013 .*\d>h\d", told)
    assert not WRONG.search(told + svg.read_text())
    assert main(["view", str(path), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert any(None in table for s in state["sequences"].values() for table in s["tables"].values())
    assert main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "dtype: unknown" in told
    assert "groups: unknown" in told
    assert not WRONG.search(told)


def test_it_is_exported(path, tmp_path):
    trace = Trace.load(path)
    trace.to_html(tmp_path / "run.html")
    assert "<title>unknown model \u00b7 pagedviz</title>" in (tmp_path / "run.html").read_text()
    trace.to_perfetto(tmp_path / "run.json.gz")
    written = json.loads(gzip.decompress((tmp_path / "run.json.gz").read_bytes()))
    assert written["otherData"] == {"block_size": 4, "num_device_blocks": 20, "num_host_blocks": 12}
    assert not WRONG.search(json.dumps(written))
    assert len(trace.to_dataframe()) == trace.num_events


def test_it_is_drawn(path):
    trace = Trace.load(path)
    state = trace.state_at(LAST)
    for draw in (figures.block_lifetimes, figures.fragmentation, figures.memory_timeline):
        for tier in ("device", "host"):
            assert not WRONG.search(str(draw(trace, tier).layout.title.text))
    for draw in (figures.request_lanes, figures.reuse_distances):
        assert not WRONG.search(str(draw(trace).layout.title.text))
    figures.block_map(state, trace.info)
    for told in (picture(state, trace.info), picture_of(trace, state), memory_summary(state, trace.info)):
        assert "unknown model" in told
        assert not WRONG.search(told)
    assert "4 tokens a block<" in picture(state, trace.info)


def test_a_dashboard_shows_it(path):
    dashboard = pv.Dashboard(Trace.load(path))
    assert "unknown model" in repr(dashboard)
    bundle, _ = dashboard._repr_mimebundle_(), dashboard.close()
    assert not WRONG.search(str(bundle["text/plain"] if isinstance(bundle, dict) else bundle[0]["text/plain"]))


def test_its_requests_can_be_served_again(path, run):
    trace = Trace.load(path)
    assert groups_of(trace) == groups_of(run) == 2
    assert recorded_requests(trace) == recorded_requests(run)


def test_layers_may_be_unknown(run, capsys, tmp_path):
    groups = (LayerGroup(()), LayerGroup((), 64))
    info = msgspec.structs.replace(run.info, groups=groups)
    Trace(info, run.start, run.batches).save(tmp_path / "t")
    assert main(["info", str(tmp_path / "t")]) == 0
    assert "unknown layers, no sliding window; unknown layers, a sliding window of 64" in capsys.readouterr().out
