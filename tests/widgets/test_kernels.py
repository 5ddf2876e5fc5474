"""What single versions of ipykernel need, with the parts of a kernel that it touches."""

from collections import deque
from types import SimpleNamespace

import pytest
from jupyter_client.session import Session

from pagedviz.widgets import kernels


class OldKernel:
    """The queue, the loop and the session of ipykernel 6."""

    def __init__(self):
        self.session = Session(key=b"key")
        self.queue = deque()
        self.later = []
        self.msg_queue = SimpleNamespace(
            qsize=lambda: len(self.queue), get_nowait=self.queue.popleft, put_nowait=self.queue.append
        )
        self.io_loop = SimpleNamespace(call_later=lambda *args: self.later.append(args[1:]))

    def receive(self, kind, **content):
        frames = self.session.serialize(self.session.msg(kind, content))
        self.queue.append(
            (len(self.queue), None, ([SimpleNamespace(bytes=f, buffer=memoryview(f)) for f in frames],))
        )


@pytest.fixture
def widget():
    taken = []
    comm = SimpleNamespace(comm_id="mine", handle_msg=lambda message: taken.append(message["content"]["data"]))
    widget = type("Widget", (), {})()
    widget.comm, widget.taken = comm, taken
    return widget


def test_only_the_widget_s_messages_are_taken_and_the_others_keep_their_order(widget):
    kernel = OldKernel()
    kernel.receive("execute_request", code="1")
    kernel.receive("comm_msg", comm_id="mine", data="pause")
    kernel.receive("comm_msg", comm_id="another", data="slider")
    kernel.queue.append((3, None, ()))  # the kernel's own: no message at all
    kernel.receive("comm_msg", comm_id="mine", data="step")

    kernels._look(kernel, lambda: widget)

    assert widget.taken == ["pause", "step"]
    assert [number for number, _, _ in kernel.queue] == [0, 2, 3]
    assert len(kernel.later) == 1  # it looks again


@pytest.mark.parametrize("of", [lambda: None, lambda: SimpleNamespace(comm=None)])
def test_looking_ends_with_the_widget(of):
    kernel = OldKernel()
    kernel.receive("comm_msg", comm_id="mine", data="pause")

    kernels._look(kernel, of)

    assert len(kernel.queue) == 1
    assert kernel.later == []


def test_clicks_go_where_they_were_sent_to(widget):
    widget.comm._reply_subshell_for = lambda data, default: "a subshell that is gone"

    kernels.let_clicks_in(widget)

    assert widget.comm._reply_subshell_for({}, "here") == "here"


def test_other_kernels_are_left_alone(widget):
    before = dict(vars(widget.comm))

    kernels.let_clicks_in(widget)

    assert vars(widget.comm) == before
