"""On a CUDA device: swapping changes no token, and copies out run beside the kernels of the step."""

import pytest
import torch
from driving import GREEDY, PROMPTS, SIZE, drive, of, same

import pagedviz as pv
from pagedviz.attention import KVCache
from pagedviz.attention.copy_stream import CudaCopyStream
from pagedviz.attention.transfer import Staged
from pagedviz.events import SwappedIn, SwappedOut

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
CUDA = torch.device("cuda")


def test_swapping_changes_no_token(tiny, new_tiny, reference):
    options = {"block_size": SIZE, "num_device_blocks": 17, "num_host_blocks": 30, "max_num_batched_tokens": 33}
    engine = pv.Engine(new_tiny("llama").to(CUDA), preemption="swap", **options)
    assert isinstance(engine._core.runner._transfer, Staged)
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    ids = [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS]
    outputs, _ = drive(engine, ids)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        assert same(list(output.outputs[0].token_ids), tiny("llama"), prompt, reference), prompt
    swaps = of(events, (SwappedOut, SwappedIn))
    assert {type(event) for event in swaps} == {SwappedOut, SwappedIn}
    assert all(event.duration_us > 0 for event in swaps)


class Watched(CudaCopyStream):
    """Records when its last copy began and ended."""

    def launch(self, copy, *, before_next):
        self.began, self.ended = timer(), timer()

        def timed():
            self.began.record()
            copy()
            self.ended.record()

        return super().launch(timed, before_next=before_next)


def timer():
    return torch.cuda.Event(enable_timing=True)


@pytest.fixture
def moved():
    """A transfer of about 256 MB, its stream, both pools and (device block, host block) pairs."""
    blocks = 128
    device, host = (
        KVCache((16, blocks, 16, 8, 128), torch.float16, where) for where in (CUDA, torch.device("cpu"))
    )
    for pool in (device.keys, device.values):
        pool.normal_()
    stream = Watched(CUDA)
    transfer = Staged(device, host, stream)
    pairs = list(zip(range(blocks), reversed(range(blocks)), strict=True))
    transfer.run("out", pairs)  # the first one allocates staging memory
    transfer.settle()
    return transfer, stream, device, host, pairs


def test_a_copy_out_runs_beside_the_kernels_that_follow(moved):
    transfer, stream, device, host, pairs = moved
    matrix = torch.randn(4096, 4096, device=CUDA)
    matrix @ matrix  # warm
    torch.cuda.synchronize()
    before = device.keys.cpu(), device.values.cpu()
    crossing = transfer.run("out", pairs)
    began, ended = timer(), timer()
    began.record()
    device.keys.zero_()  # freed frames are written over at once
    device.values.zero_()
    for _ in range(20):
        matrix @ matrix
    ended.record()
    transfer.settle()
    torch.cuda.synchronize()
    assert began.elapsed_time(stream.ended) > 0, "the kernels began before the copy had ended"
    assert stream.began.elapsed_time(ended) > 0, "and the copy began before they had"
    assert crossing.duration_us >= 1000 * stream.began.elapsed_time(stream.ended)
    assert torch.equal(host.keys.flip(1), before[0])
    assert torch.equal(host.values.flip(1), before[1])


def test_kernels_that_follow_a_copy_in_find_it_done(moved):
    transfer, _, device, host, pairs = moved
    for pool in (host.keys, host.values):
        pool.normal_()
    for number in range(3):
        transfer.run("in", [(below, above) for above, below in pairs])
        found = device.keys.clone(), device.values.clone()
        assert torch.equal(found[0].cpu(), host.keys.flip(1)), number
        assert torch.equal(found[1].cpu(), host.values.flip(1)), number
        device.keys.zero_()
    transfer.settle()
