"""The comparison itself finds what differs."""

from pagedviz.bench.equality import UNDECIDED, compare, reference


def test_a_wrong_token_is_found_where_it_is(tiny):
    model = tiny("llama")
    prompts = [[5, 6, 7], [8]]
    expected = reference(model, prompts, 6)
    got = [list(tokens) for tokens in expected]
    got[1][3] = (got[1][3] + 1) % 100

    compared, found = compare(model, prompts, expected, got)

    assert compared == 6 + 4
    assert [(item.prompt, item.position) for item in found] == [(1, 3)]
    assert found[0].counts == (found[0].gap > UNDECIDED)
    assert found[0].counts


def test_equal_tokens_have_no_disagreement(tiny):
    model = tiny("llama")
    expected = reference(model, [[5, 6, 7]], 4)

    assert compare(model, [[5, 6, 7]], expected, expected) == (4, ())
