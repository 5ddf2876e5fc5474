"""What only the numba backend has: threads, a choice of splits, prompts that go through torch."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from cases import Case

cpu = pytest.importorskip("pagedviz_kernels.cpu", reason="needs numba")


def test_threads_may_call_at_the_same_time():
    case = Case((300, 200, 100), group=3)
    expected = case.decode(cpu)
    results = []

    def work():
        results.extend(case.decode(cpu) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 200
    for result in results:
        torch.testing.assert_close(result, expected, rtol=0, atol=0)


LAUNCH = """
import sys, torch
sys.path.insert(0, {here!r})
torch.set_num_threads({threads})
from cases import Case
from pagedviz_kernels import cpu
Case((300, 200), group=3).decode(cpu)
print(torch.get_num_threads())
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_torch_keeps_the_number_of_threads_that_the_user_set(threads):
    """In a process of its own: it is the first launch that would change it."""
    code = LAUNCH.format(here=str(Path(__file__).parent), threads=threads)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == [str(threads)], done.stderr


def test_splits_are_chosen_from_shapes():
    assert cpu.choose_splits(pairs=96, longest=1000, workers=2) == 1
    assert cpu.choose_splits(pairs=3, longest=64, workers=2) == 1
    assert cpu.choose_splits(pairs=3, longest=2000, workers=2) == 3
    assert cpu.choose_splits(pairs=0, longest=2000, workers=2) >= 1


def test_the_widest_query_of_a_prompt_matches_its_rows_one_by_one():
    """A prompt goes through torch, single rows through our loop: both give the same attention."""
    whole = Case((50,), (50,), group=3)
    rows = whole.prefill(cpu)
    for position in (0, 15, 16, 49):
        one = Case((50,), (50,), group=3)
        one.query = whole.query[position : position + 1]
        one.context_lens = torch.tensor([position + 1], dtype=torch.int32)
        torch.testing.assert_close(one.decode(cpu)[0], rows[position], atol=2e-5, rtol=1e-4)
