"""Who owns a run: the thread that takes its steps, what stops it, and what a person asks of it and expects."""

from pagedviz.session.conversation import Conversation
from pagedviz.session.session import Session

__all__ = ["Conversation", "Session"]
