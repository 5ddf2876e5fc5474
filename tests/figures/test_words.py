import pytest

from pagedviz.figures import words
from pagedviz.trace import Block


@pytest.mark.parametrize(
    ("sequence", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (27, "AB"), (701, "ZZ"), (702, "AAA"), (-1, "-1")]
)
def test_letters(sequence, name):
    assert words.letter(sequence) == name


@pytest.mark.parametrize(
    ("holders", "name"),
    [
        ([(0, 1)], "A"),
        ([(0, 1), (1, 1)], "AB"),
        ([(0, 1), (1, 1), (2, 1)], "A+2"),
        ([(3, 0), (3, 1)], "D"),
        ([], ""),
    ],
)
def test_owners(holders, name):
    assert words.owners(Block(0, holders, 0)) == name


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (2**20 * 100, "100 MiB"), (2**45, "32.0 TiB")],
)
def test_sizes(num_bytes, text):
    assert words.size(num_bytes) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (1, 1000, "<1 %"), (999, 1000, "99 %"), (1000, 1000, "100 %"), (1, 3, "33 %"), (1, 0, "0 %")],
)
def test_percent_never_lies_at_the_ends(part, whole, text):
    assert words.percent(part, whole) == text


def test_plain_text_is_cut_and_harmless():
    assert words.plain("a\nb\u202ec") == "a\ufffdb\ufffdc"
    assert words.plain("x" * 70, 10) == "x" * 9 + "\u2026"
    assert words.plural(1, "block") == "1 block"
    assert words.plural(4096, "block") == "4,096 blocks"
