"""Who owns a run: the thread that takes its steps, what stops it, and what a person expects of the next step."""

from pagedviz.session.session import Session

__all__ = ["Session"]
