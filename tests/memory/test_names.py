"""Names of full blocks by sequence, and sequences whose names nobody is to find."""

from pagedviz.memory.names import Names


def test_a_withheld_sequence_has_names_that_nobody_finds():
    names = Names(2)
    first = list(names.extend(1, [5, 6, 7, 8, 9], 5, ""))
    assert list(names.of(1)) == first
    assert names.count(1) == len(first) == 2

    names.withhold([1])

    assert names.withheld(1)
    assert names.of(1) == ()
    assert names.extend(1, [5, 6, 7, 8, 9, 3], 6, "")[:2] == first  # what follows builds on them
    names.forget(1)
    assert not len(names)


def test_distrust_reaches_whoever_has_the_content_and_its_forks():
    names = Names(2)
    names.extend(1, [5, 6, 7, 8], 4, "")
    names.fork(1, 2, 1)
    names.extend(3, [9, 9], 2, "")
    assert list(names.of(2)) == list(names.of(1))[:1]

    names.distrust({names.of(1)[1]})
    assert [names.withheld(number) for number in (1, 2, 3)] == [True, False, False]
    names.fork(1, 4, 1)
    assert names.of(4) == ()
