"""When a run stands still by itself: the loop's ``Gate``, closed by breakpoints and by predictions.

It keeps the batches of the step in progress until that is over, and asks the engine what the next one would cause.
Neither is done while nobody wants to know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pagedviz.errors import ConfigError, PolicyError, SessionError
from pagedviz.events import Batch, Event
from pagedviz.session.breakpoints import Breakpoint, Breakpoints
from pagedviz.session.predictions import Pick, Predictions
from pagedviz.session.touches import check_block
from pagedviz.values import is_whole, plain, whole

if TYPE_CHECKING:
    from pagedviz.session.breakpoints import Predicate
    from pagedviz.session.engines import Held
    from pagedviz.trace.state import State


Command = Literal["pause", "step", "resume", "stop", "break", "unbreak", "predict", "guess"]


class Stops:
    """Breakpoints and predictions of one run.

    Args:
        held: the engine: who is in memory, and what the next step would cause.
        start: the state in which the session found it.
        changed: called when a breakpoint came or went, or ``predict`` was switched.

    Attributes:
        step: the last step that finished.
    """

    def __init__(self, held: Held, start: State, changed: Callable[[], None]) -> None:
        self._held = held
        self.sizes = dict(start.num_blocks)
        self.breakpoints = Breakpoints(self.sizes, held.foretells, changed)
        self.predictions = Predictions()
        self.step = start.step
        self._changed = changed
        self._batches: list[Batch] = []
        self._stood_before = -1

    def note(self, batch: Batch, *, moving: bool) -> None:
        """Something happened. What happens while the run stands is no reason to stop it."""
        self.step = batch.step
        if moving and (self.breakpoints.all or self.predictions.guess is not None):
            self._batches.append(batch)

    # -- the gate: on the loop's thread, between two steps -----------------------------------------------------

    def before(self, *, standing: bool) -> str:
        """What the next step would cause that somebody waits for; once for each step, unless the run stands."""
        waiting, asking = self.breakpoints.ahead, self.predictions.on
        upcoming = self.step + 1
        if not (waiting or asking) or (self._stood_before == upcoming and not standing):
            return ""
        return self._ahead(upcoming, waiting, asking=asking)

    def look_again(self) -> None:
        """What the next step would cause has changed, or who wants to know: forget that the run stood there."""
        self._stood_before = -1

    def seen(self, *, yes: bool) -> None:
        """Whether it is known what the next step will cause: then it is taken, else the run stands once more."""
        self._stood_before = self.step + 1 if yes else -1

    def _ahead(self, step: int, waiting: tuple[Breakpoint, ...], *, asking: bool) -> str:
        try:
            kinds = self._held.upcoming()
        except PolicyError as error:
            self.predictions.forget()
            self._stood_before = step
            return f"stopped before step {step}, which cannot be planned: {error}"
        if asking and kinds:
            sequences = self._held.state().sequences
            requests = {id_: sequence.request for id_, sequence in sequences.items()}
            blocks = {id_: [entry for _, _, entry in s.entries()] for id_, s in sequences.items()}
            self.predictions.ask(step, kinds, requests, blocks)
        else:
            self.predictions.forget()
        found = [item for item in waiting if item.before in kinds]
        if not found and not (asking and kinds):
            return ""
        self._stood_before = step
        names = ", ".join(f"breakpoint {item.id}" for item in found)
        shown = kinds if asking else tuple(dict.fromkeys(item.before or "" for item in found))
        return f"stopped before step {step}, which will cause {', '.join(shown)}{f' ({names})' if names else ''}"

    def after(self, *, step: bool) -> str:
        """Why the run must stand after the step that was just tried, or after what came between two.

        What a failed step published stands, so it counts; the step is still ahead, and may cause other things now.
        """
        batches, self._batches = self._batches, []
        if step:
            over = self.step >= self._stood_before
            self.predictions.judge(batches, over=over)
            if not over:
                self.look_again()
        hits = self.breakpoints.hits(batches) if batches else []
        return f"stopped: {', '.join(hits)}" if hits else ""

    # ------------------------------------------------------------------------------------------------------------

    def command(self, command: Command, details: dict[str, Any]) -> None:
        """Take a command of a view, as in `docs/live-protocol.md`.

        Raises:
            PagedvizError: it is at fault.
        """
        match command:
            case "break":
                self.breakpoints.add(**details)
            case "unbreak":
                self.breakpoints.find(details["id"]).remove()
            case "predict":
                self.predict(on=details["on"])
            case "guess":
                self.guess(Pick(**details))
            case _:
                raise ConfigError(f"command={command!r} is unknown")

    def predict(self, *, on: bool) -> None:
        """Stop for guesses from now on, or no more.

        Raises:
            ConfigError: ``on`` is neither, or the engine cannot look ahead.
        """
        if not isinstance(on := plain(on), bool):
            raise ConfigError(f"predict({on!r}): must be True or False")
        if on and not self._held.foretells:
            raise ConfigError("predict(True): this engine cannot tell what its next step will cause")
        self.predictions.switch(on=on)
        self.look_again()
        self._changed()

    def guess(self, pick: Pick) -> None:
        """Note what a person expects of the step ahead.

        Raises:
            ConfigError: not exactly one of block, sequence and request is given, or there is none of that id.
            SessionError: there is nothing to guess, or not in these terms.
        """
        given = [name for name in ("block", "sequence", "request") if getattr(pick, name) is not None]
        if len(given) != 1:
            raise ConfigError(f"guess({', '.join(given)}): give one of block, sequence and request")
        if pick.block is not None:
            tier, block = check_block(pick.block, pick.tier, self.sizes)
            pick = Pick(block, tier)
        elif pick.tier is not None:
            raise ConfigError(f"tier={pick.tier!r} goes with a block: give block=... too")
        elif pick.sequence is not None:
            pick = Pick(sequence=whole("sequence", pick.sequence, 0))
        self.predictions.take(pick)
        self.seen(yes=True)

    def until(self, what: str | type[Event] | Predicate | int) -> Breakpoint:
        """A breakpoint for one call; who called removes it.

        Raises:
            ConfigError: it is no kind, function or step.
            SessionError: the step is past.
        """
        if isinstance(what, bool) or what is None:
            raise ConfigError(f"until={what!r}: give a kind of event, a function or the number of a step")
        if not is_whole(what):
            return self.breakpoints.add(what, step=0)
        step = int(what)
        if step <= self.step:
            raise SessionError(
                f"until={step}: the run has finished step {self.step}; {self.step + 1} or more is ahead"
            )
        return self.breakpoints.add("StepFinished", step=step)
