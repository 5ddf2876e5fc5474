"""An event is its record, its emitter, its rule in Python and JavaScript, its sentence: what is missing is told."""

import json
import re
from pathlib import Path
from typing import ClassVar

import pytest

from pagedviz.events import KINDS, Event
from pagedviz.events.codec import VERSION
from pagedviz.events.kinds import ALSO, FAMILIES, OWN, About
from pagedviz.trace.reducer import RULES
from pagedviz.trace.rules import blocks, cache, requests
from pagedviz.trace.state import Counters

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pagedviz"
EMITTERS = "\n".join(
    path.read_text(encoding="utf-8") for part in ("engine", "memory") for path in (PACKAGE / part).rglob("*.py")
)
TWINS = PACKAGE / "browser" / "run" / "rules"
THEME = json.loads((PACKAGE / "figures" / "theme.json").read_text(encoding="utf-8"))


def twins(family):
    """The kinds that have a rule in a file of the browser's, in its order."""
    text = (TWINS / f"{family}.js").read_text(encoding="utf-8")
    return re.findall(r"^  ([A-Z]\w+)[(:]", text, re.MULTILINE)


TWIN = {name for path in TWINS.glob("*.js") for name in twins(path.stem)}


def missing(name, kind):
    """What a kind of event lacks, a line each."""
    if not re.search(rf"\b{name}\(", EMITTERS):
        yield f"{name} has no emitter in pagedviz/engine or pagedviz/memory"
    if kind not in RULES:
        yield f"{name} has no rule in pagedviz/trace/rules"
    if name not in TWIN:
        yield f"{name} has no rule in pagedviz/browser/run/rules"
    if name not in THEME["sentences"]:
        yield f"{name} has no sentence in pagedviz/figures/theme.json"
    if kind.about.family != "engine" and name not in THEME["kinds"]:
        yield f"{name} has no name for people in pagedviz/figures/theme.json, kinds"
    if kind.about.guesses and name not in THEME["asks"]:
        yield f"{name} can be guessed, and pagedviz/figures/theme.json, asks, has no question"
    if kind.about.counter and kind.about.counter not in Counters.__struct_fields__:
        yield f"{name} counts as {kind.about.counter!r}, which is no field of Counters in pagedviz/trace/state.py"


@pytest.mark.parametrize("name", KINDS)
def test_an_event_has_all_that_it_needs(name):
    lacks = "; ".join(missing(name, KINDS[name]))
    assert not lacks, lacks


def test_what_an_event_lacks_is_told():
    class SomethingHappened(Event, frozen=True):
        about: ClassVar[About] = About("block", counter="somethings", guesses=("block",))

    assert SomethingHappened.about.section == ALSO
    assert len(list(missing("SomethingHappened", SomethingHappened))) == 7


@pytest.mark.parametrize("family", [requests, blocks, cache], ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_rules_of_both_languages_stand_in_the_same_files_in_the_same_order(family):
    assert twins(family.__name__.rpartition(".")[2]) == [kind.__name__ for kind in family.RULES]


@pytest.mark.parametrize("field", sorted(OWN))
def test_a_field_cannot_be_called_as_what_every_event_has(field):
    told = {"__annotations__": {field: int}, "about": About("block"), "__module__": __name__}
    with pytest.raises(TypeError, match=f"Wrong has a field {field}: every event has one of its own"):
        type(Event)("Wrong", (Event,), told)


@pytest.mark.parametrize("about", [{}, {"about": About("blocks")}, {"about": About("block", "Nowhere")}])
def test_a_record_says_what_it_is(about):
    with pytest.raises(TypeError, match=r"Wrong (must say what it is|has section 'Nowhere'; valid: )"):
        type(Event)("Wrong", (Event,), {"__annotations__": {"block": int}, "__module__": __name__, **about})


def test_every_family_has_events():
    assert {kind.about.family for kind in KINDS.values()} == set(FAMILIES)


def test_the_version_is_raised_when_the_vocabulary_changes():
    """A file of this version, written once, has the fields that are written now."""
    lines = (ROOT / "tests" / "trace" / f"version_{VERSION}.pvtrace").read_bytes().splitlines()
    written = json.loads(lines[0])["fields"]
    now = {name: list(kind.__struct_fields__) for name, kind in KINDS.items()}

    assert written == now, "raise VERSION in pagedviz/events/codec.py once for a release, and add a file of it"
