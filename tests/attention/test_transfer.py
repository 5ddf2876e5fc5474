"""Copies between the tiers: what they leave in both pools, whenever the copy itself runs."""

import contextlib
import random
import threading
from unittest import mock

import pytest
import torch
from late import LateStream

from pagedviz.attention import BACKENDS, KVCache, select_backend, select_transfer
from pagedviz.attention.copy_stream import CudaCopyStream
from pagedviz.attention.transfer import AtOnce, Staged
from pagedviz.errors import BackendUnavailable

CPU = torch.device("cpu")
DEVICE, HOST = 9, 13


def pools(seed=0):
    """A device pool and a host pool full of numbers."""
    torch.manual_seed(seed)
    device, host = (KVCache((3, count, 4, 2, 8), torch.float32, CPU) for count in (DEVICE, HOST))
    for cache in (device, host):
        for pool in (cache.keys, cache.values):
            pool.normal_()
    return device, host


def equal(one, other):
    return torch.equal(one.keys, other.keys) and torch.equal(one.values, other.values)


@pytest.fixture
def stream():
    made = LateStream()
    yield made
    made.close()


@pytest.fixture(params=list(BACKENDS))
def kernels(request):
    try:
        return select_backend(request.param, CPU)[1]
    except BackendUnavailable as error:
        pytest.skip(str(error))


def test_without_an_accelerator_a_copy_is_done_at_once(kernels):
    device, host = pools()
    transfer = select_transfer(kernels, device, host)
    assert isinstance(transfer, AtOnce)
    crossing = transfer.run("out", [(2, 5), (0, 11)])
    assert torch.equal(host.keys[:, [5, 11]], device.keys[:, [2, 0]])
    assert torch.equal(host.values[:, [5, 11]], device.values[:, [2, 0]])
    assert crossing.num_bytes == 2 * device.bytes_per_block
    assert crossing.duration_us > 0
    transfer.settle()


@pytest.mark.parametrize("seed", range(6))
def test_late_copies_leave_what_copies_at_once_leave(kernels, stream, seed):
    chance = random.Random(seed)
    device, host = pools()
    twins = pools()
    late, plain = Staged(device, host, stream), AtOnce(kernels, *twins)
    was_late = 0
    for number in range(60):
        action = chance.choice(["out", "out", "in", "write", "write", "settle"])
        count = chance.randint(0, 4)
        if action == "settle":
            late.settle()
            assert equal(host, twins[1])
        elif action == "write":  # a step writes into frames, those that were just freed too
            blocks = chance.sample(range(DEVICE), count)
            for cache in (device, twins[0]):
                cache.keys[:, blocks], cache.values[:, blocks] = number, -number
        else:
            sizes = (DEVICE, HOST) if action == "out" else (HOST, DEVICE)
            pairs = list(zip(*(chance.sample(range(size), count) for size in sizes), strict=True))
            assert late.run(action, pairs).num_bytes == plain.run(action, pairs).num_bytes
        assert equal(device, twins[0]), "a kernel that runs now reads what it should"
        was_late += stream.in_flight > 0
    late.settle()
    assert equal(host, twins[1])
    assert was_late > 5
    assert stream.in_flight == 0
    assert threading.get_ident() not in stream.threads


def test_a_freed_frame_may_be_overwritten_while_its_content_is_on_the_way(stream):
    device, host = pools()
    before = device.keys[:, 3].clone(), device.values[:, 3].clone()
    transfer = Staged(device, host, stream)
    crossing = transfer.run("out", [(3, 7)])
    device.keys.zero_()
    device.values.zero_()
    assert stream.in_flight == 1
    assert crossing.duration_us == 0, "nobody knows yet"
    assert not torch.equal(host.keys[:, 7], before[0])
    transfer.settle()
    assert torch.equal(host.keys[:, 7], before[0])
    assert torch.equal(host.values[:, 7], before[1])
    assert crossing.duration_us >= stream.entries[0].duration_us


def test_what_is_on_its_way_down_can_come_up_again(stream):
    device, host = pools()
    before = device.keys[:, 3].clone()
    transfer = Staged(device, host, stream)
    transfer.run("out", [(3, 7)])
    device.keys.zero_()
    up = transfer.run("in", [(7, 1)])
    assert torch.equal(device.keys[:, 1], before)
    assert up.duration_us == 0
    transfer.settle()
    assert up.duration_us >= stream.entries[1].duration_us


@pytest.mark.parametrize("pairs", [[(0, HOST)], [(DEVICE, 0)], [(-1, 0)]])
def test_a_pair_outside_the_pools_is_refused_before_anything_is_copied(stream, pairs):
    device, host = pools()
    with pytest.raises(ValueError, match="outside pools"):
        Staged(device, host, stream).run("out", pairs)
    assert stream.entries == []
    assert equal(device, pools()[0])
    assert equal(host, pools()[1])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_copy_that_could_not_be_settled_is_settled_later(stream, monkeypatch, error):
    device, host = pools()
    transfer = Staged(device, host, stream)
    first, second = transfer.run("out", [(3, 7)]), transfer.run("out", [(4, 7)])
    before = device.keys[:, 4].clone()
    device.keys.zero_()
    with monkeypatch.context() as patched:
        patched.setattr("pagedviz.attention.transfer._scatter", mock.Mock(side_effect=error))
        with pytest.raises(error):
            transfer.settle()
    assert first.duration_us == second.duration_us == 0
    transfer.settle()
    assert torch.equal(host.keys[:, 7], before), "in order"
    assert 0 < first.duration_us < second.duration_us


@pytest.mark.parametrize("before_next", [True, False])
def test_the_cuda_stream_is_ordered_with_main(monkeypatch, before_next):
    """Against the signatures of torch.cuda, as there is no such device everywhere."""
    log = mock.Mock()
    events = [mock.create_autospec(torch.cuda.Event, instance=True) for _ in range(2)]
    own, main = (mock.create_autospec(torch.cuda.Stream, instance=True) for _ in range(2))
    for name, part in {"own": own, "main": main, "began": events[0], "ended": events[1]}.items():
        log.attach_mock(part, name)

    @contextlib.contextmanager
    def stream(chosen):
        assert chosen is own
        log.enter()
        yield
        log.leave()

    where = torch.device("cuda", 0)
    made = iter(events)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: {where: own}[device])
    monkeypatch.setattr(torch.cuda, "Event", lambda *, enable_timing: next(made) if enable_timing else None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: {where: main}[device])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    events[0].elapsed_time.return_value = 1.25
    wait = CudaCopyStream(where).launch(log.copy, before_next=before_next)
    expected = [
        mock.call.own.wait_stream(main),
        mock.call.enter(),
        mock.call.began.record(own),
        mock.call.copy(),
        mock.call.ended.record(own),
        mock.call.leave(),
    ]
    if before_next:
        expected.append(mock.call.main.wait_event(events[1]))
    assert log.mock_calls == expected
    assert wait() == 1250
    assert log.mock_calls[len(expected) :] == [
        mock.call.ended.synchronize(),
        mock.call.began.elapsed_time(events[1]),
    ]
