"""A copy stream in a thread of its own, which runs its copies as late as can be: when somebody waits for them."""

import queue
import threading


class Entry:
    def __init__(self, copy, duration_us):
        self.copy, self.duration_us = copy, duration_us
        self.gate, self.done, self.error = threading.Event(), threading.Event(), None


class LateStream:
    """The durations it tells are made up: each copy has its own, so that they can be told apart."""

    def __init__(self):
        self.entries = []
        self.threads = set()
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        for entry in iter(self._queue.get, None):
            assert entry.gate.wait(60)
            self.threads.add(threading.get_ident())
            try:
                entry.copy()
            except RuntimeError as error:
                entry.error = error
            entry.done.set()

    def launch(self, copy, *, before_next):
        entry = Entry(copy, 1007 * (len(self.entries) + 1))
        self.entries.append(entry)
        self._queue.put(entry)

        def wait():
            for earlier in self.entries[: self.entries.index(entry) + 1]:
                earlier.gate.set()
            assert entry.done.wait(60)
            if entry.error is not None:
                raise entry.error
            return entry.duration_us

        if before_next:
            wait()  # what main is given next is computed at once here
        return wait

    @property
    def in_flight(self):
        return sum(not entry.done.is_set() for entry in self.entries)

    def close(self):
        for entry in self.entries:
            entry.gate.set()
        self._queue.put(None)
        self._thread.join(60)
        assert not self._thread.is_alive()
