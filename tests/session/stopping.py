"""Memory that is too small, and running a session from one stop to the next."""

PRESSED = {"block_size": 4, "num_device_blocks": 12, "num_host_blocks": 8, "preemption": "swap"}
KINDS = ("RequestPreempted", "SwappedOut", "SwappedIn", "BlockEvicted", "BlockCopied")


def events_in(session, step):
    return [event for batch in session.trace.batches if batch.step == step for event in batch.events]


def kinds_in(session, step):
    return {type(event).__name__ for event in events_in(session, step)} & set(KINDS)


def rest(session):
    session.start()
    session._loop.await_rest()
    return session.status


def stops(session, most=200):
    """Resume until the work ends; the status at each stop."""
    seen = []
    while (status := rest(session)).state == "paused":
        seen.append(status)
        assert len(seen) < most
    return seen


class Locked:
    """A victim policy that cannot be copied, so no step can be planned with it beforehand."""

    name, summary = "locked", ""

    def __deepcopy__(self, known):
        raise TypeError("no")

    def choose(self, candidates):
        return candidates[-1]

    def explain(self, victim):
        return ""
