"""What the engine tests share, and neighbours on the path (``late``): importlib mode puts no test folder there."""

import sys
from pathlib import Path

import pytest

import pagedviz as pv

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "attention")]
pytest.register_assert_rewrite("driving", "late")  # they tell what differs, and check under python -O too


@pytest.fixture
def model(tiny):
    return tiny("llama", num_hidden_layers=1)


@pytest.fixture
def watched(model):
    """``watched(**options)``: an engine and the list that its events go to."""

    def make(**options):
        engine = pv.Engine(model, **{"block_size": 4, "num_device_blocks": 64, **options})
        events = []
        engine.subscribe(lambda batch: events.extend(batch.events))
        return engine, events

    return make
