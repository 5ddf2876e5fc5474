import sys

import pytest

from pagedviz.errors import MissingPackage, TraceFormatError
from pagedviz.events import KINDS, Batch, StepFinished
from pagedviz.events.records import MOST
from pagedviz.trace import Trace
from pagedviz.trace.export.dataframe import dtypes

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.golden_run())


def plain(value):
    return None if value is None or value is pd.NA else value


def test_a_row_is_an_event(trace):
    frame = trace.to_dataframe()
    assert len(frame) == trace.num_events
    rows = frame.to_dict("records")
    seq = trace.start.seq
    for batch in trace.batches:
        for event in batch.events:
            row = rows[seq - trace.start.seq]
            assert (row["seq"], row["step"], row["t_us"]) == (seq, batch.step, batch.t_us)
            assert row["kind"] == type(event).__name__
            fields = type(event).__struct_fields__
            for name, value in row.items():
                if name in fields:
                    assert value == getattr(event, name)
                elif name not in {"seq", "step", "t_us", "kind"}:
                    assert plain(value) is None
            seq += 1


def test_columns_and_dtypes_are_the_same_for_every_trace(trace):
    empty = Trace(trace.info, trace.start, ()).to_dataframe()
    assert len(empty) == 0
    for frame in (empty, trace.to_dataframe()):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dtypes()
        assert list(frame["kind"].cat.categories) == list(KINDS)
    assert dtypes()["pairs"] == "object"
    assert dtypes()["resumed"] == "boolean"


def test_the_largest_numbers_that_a_trace_can_have(trace):
    batch = Batch(0, MOST, MOST, (StepFinished(MOST, 0, -MOST),))
    largest = Trace.from_bytes(Trace(trace.info, trace.start, [batch]).to_bytes())
    (row,) = largest.to_dataframe().to_dict("records")
    assert (row["step"], row["t_us"], row["duration_us"], row["decode_tokens"]) == (MOST, MOST, MOST, -MOST)
    for beyond in (Batch(0, 10**25, 0, ()), Batch(0, 1, 0, (StepFinished(10**25, 0, 0),))):
        with pytest.raises(TraceFormatError, match=f"line 3 is damaged: .*<= {MOST}"):
            Trace.from_bytes(Trace(trace.info, trace.start, [beyond]).to_bytes())


def test_a_trace_from_the_middle_keeps_its_numbers(streams):
    toy = streams.random_run(9)
    whole = streams.trace_of(toy)
    cut = len(toy.batches) // 2
    late = Trace(whole.info, whole._replay.after(cut), toy.batches[cut:])
    expected = whole.to_dataframe().iloc[late.start.seq :].reset_index(drop=True)
    pd.testing.assert_frame_equal(late.to_dataframe(), expected)


def test_without_pandas_the_error_names_the_command(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match=r"pip install 'pagedviz\[pandas\]'"):
        trace.to_dataframe()
