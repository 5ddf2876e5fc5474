"""What the loop's thread does next. Knows the wishes that there are, and neither thread, lock nor work.

The first line that holds decides; where none does, the thread waits.

| it holds that | the thread's order |
|---|---|
| somebody wants it to end (``stopping``) | ``stop``: give up what is left |
| the run stands, and has not looked at what is ahead (not ``looked``) | ``look`` |
| there is news for those who watch, or somebody asked something | ``tell`` |
| a step is wanted (``go``, or some are ``owed``), and no ``guests`` want a turn | ``step`` |

A run *stands* when no step is wanted. What state that is for a person says the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["look", "tell", "step", "stop"]


@dataclass
class Orders:
    """Wishes, as they are now. Whoever reads or changes them sees to it that nobody else does meanwhile.

    Attributes:
        go: step until somebody says something else.
        owed: so many steps, and then stand.
        stopping: end the run.
        stepping: a step is in progress.
        looked: the gate has looked ahead since the run stands.
        changes: how often what the gate goes by was changed.
        guests: threads that wait for their turn between two steps: by the lock alone the loop's thread, which asks
            for it again at once, could keep them out for many steps.
    """

    go: bool = False
    owed: int = 0
    stopping: bool = False
    stepping: bool = False
    looked: bool = True
    changes: int = 0
    guests: int = 0

    @property
    def stands(self) -> bool:
        """Whether no further step is wanted."""
        return not self.go and self.owed == 0

    @property
    def moving(self) -> bool:
        """Whether a step is in progress, or the next one needs no word of anybody."""
        return self.stepping or not self.stands

    def run(self, steps: int) -> None:
        """Take so many steps more; 0: all there are."""
        self.go = steps == 0
        self.owed = self.owed + steps if steps else 0

    def stand(self) -> None:
        """Take no further step."""
        self.go, self.owed = False, 0

    def change(self) -> None:
        """What the gate goes by was changed: it must look again."""
        self.changes += 1
        self.looked = False

    def over(self, *, go_on: bool) -> None:
        """The run has ended; ``go_on``: with new work it goes on as before."""
        self.go = self.go and go_on
        self.stopping, self.owed, self.stepping = False, 0, False

    def next(self, *, news: bool) -> Order | None:
        """What to do now; None: wait. A step that is returned is in progress from here on."""
        if self.stopping:
            return "stop"
        if self.stands and not self.looked:
            return "look"
        if news:
            return "tell"
        if self.stands or self.guests:
            return None
        self.owed -= 0 if self.go else 1
        self.stepping, self.looked = True, False
        return "step"
