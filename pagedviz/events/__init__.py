"""The vocabulary of memory events; see ``records``, all of which is found here."""

from pagedviz.events.bus import Emit as Emit
from pagedviz.events.bus import EventBus as EventBus
from pagedviz.events.bus import Subscriber as Subscriber
from pagedviz.events.bus import discard as discard
from pagedviz.events.kinds import Event as Event
from pagedviz.events.records import *  # noqa: F403 - every kind of event, whatever they are
