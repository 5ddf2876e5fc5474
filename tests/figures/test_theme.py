import re

from pagedviz.figures.theme import Theme, theme


def test_every_colour_is_a_colour_and_labels_are_there():
    found = theme()
    assert isinstance(found, Theme)
    colours = [*found.owners, *found.viridis, *found.cividis]
    colours += [*found.states.values(), *found.memory.values(), *found.marks.values()]
    assert all(re.fullmatch("#[0-9A-Fa-f]{6}", colour) for colour in colours)
    assert {"used", "cached", "internal", "free"} <= set(found.memory)
    assert {"preempted", "copied", "evicted", "swapped_out", "swapped_in"} <= set(found.marks)
    for key in (*found.memory, *found.marks, "moved"):
        assert found.label(key)
    for key in ("used", "internal", "free", "step", "slots", "simulated"):
        assert found.label(key)


def test_a_simulated_device_says_so(streams):
    import msgspec

    info = streams.info_of(streams.Toy(0))
    assert theme().tier("device", info) == "device (simulated in RAM)"
    assert theme().tier("device", msgspec.structs.replace(info, simulated=False)) == "device"
    assert theme().tier("host", info) == "host"
    assert theme().tier("elsewhere", None) == "elsewhere"


def test_owners_repeat_their_colours():
    assert theme().owner(0) == theme().owner(len(theme().owners))
