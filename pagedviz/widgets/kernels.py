"""What single versions of ipykernel need so that clicks reach a widget while the kernel works.

ipykernel 6 takes one message at a time. While a cell awaits (``await session.wait()``), its event loop runs but
every click lies in its queue until the cell ends. Here messages of one widget, and only those, are taken out of
the queue. A cell that blocks without awaiting still holds them back: nothing runs there but the cell.

ipykernel 7.4 hands a click to the (sub)shell that last sent something on the same comm. For a stream from a
background thread that is whatever shell ran last: the main one, which a busy cell holds, or a subshell that is
gone since the page was loaded anew, and then every click is dropped. Here clicks go where they were sent to.

Knows the insides of those two, which other versions do not have, and nothing of what the messages say.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

_SECONDS_BETWEEN_LOOKS = 0.02


def let_clicks_in(widget: Any) -> None:
    """See to it that the widget's messages arrive, until it is closed; nothing to do on other kernels."""
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = _as_addressed  # noqa: SLF001 - there is no public way
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython.get_ipython(), "kernel", None) if ipython else None
    if kernel is not None and getattr(kernel, "msg_queue", None) is not None:
        kernel.io_loop.add_callback(_look, kernel, weakref.ref(widget))


def _as_addressed(data: object, default: object) -> object:  # noqa: ARG001 - ipykernel's signature
    return default


def _look(kernel: Any, of: weakref.ref[Any]) -> None:
    widget = of()
    if widget is None or widget.comm is None:
        return
    waiting = [kernel.msg_queue.get_nowait() for _ in range(kernel.msg_queue.qsize())]
    for item in waiting:
        try:
            message = _message_to(widget.comm.comm_id, kernel.session, item[2])
        except Exception:  # noqa: BLE001 - a message that cannot be read is the kernel's to complain about
            message = None
        if message is None:
            kernel.msg_queue.put_nowait(item)
        else:
            widget.comm.handle_msg(message)
    kernel.io_loop.call_later(_SECONDS_BETWEEN_LOOKS, _look, kernel, of)


def _message_to(comm_id: str, session: Any, frames: tuple[Any, ...]) -> Any:
    """The message in these frames if it is one to the comm, else None (and the frames are as before)."""
    if len(frames) != 1:
        return None
    _, parts = session.feed_identities(frames[0], copy=False)
    # Unpacked by hand: `deserialize` remembers signatures, and would take what it sees again for a replay.
    header, content = session.unpack(parts[1].bytes), session.unpack(parts[4].bytes)
    if header.get("msg_type") != "comm_msg" or content.get("comm_id") != comm_id:
        return None
    return session.deserialize(parts, content=True, copy=False)
